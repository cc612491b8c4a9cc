"""Certificates: proofs that no perturbation changes a prediction."""

from .certificate_report import CertificateReport
from .certified_trainer import CertifiedTrainer
from .certify import certify
from .smoothed_classifier import SmoothedClassifier
from .smoothing_report import SmoothingReport

__all__ = [
    "CertificateReport",
    "CertifiedTrainer",
    "SmoothedClassifier",
    "SmoothingReport",
    "certify",
]
