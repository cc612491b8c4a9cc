"""Adversarial training, evaluations that check themselves, and certificates."""

from .adversarial_trainer import AdversarialTrainer
from .apgd import APGD
from .attack import Attack
from .certification import (
    CertificateReport,
    CertifiedTrainer,
    SmoothedClassifier,
    SmoothingReport,
    certify,
)
from .evaluate_robustness import evaluate_robustness
from .fgsm import FGSM
from .pgd import PGD
from .robustness_report import RobustnessReport
from .square import Square

__all__ = [
    "APGD",
    "FGSM",
    "PGD",
    "AdversarialTrainer",
    "Attack",
    "CertificateReport",
    "CertifiedTrainer",
    "RobustnessReport",
    "SmoothedClassifier",
    "SmoothingReport",
    "Square",
    "certify",
    "evaluate_robustness",
]
