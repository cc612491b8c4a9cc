"""Certificates: proofs that no perturbation changes a prediction."""

from .certificate_report import CertificateReport
from .certify import certify

__all__ = ["CertificateReport", "certify"]
