"""Adversarial training, and evaluations of robustness that check themselves."""

from .adversarial_trainer import AdversarialTrainer
from .apgd import APGD
from .attack import Attack
from .certification import CertificateReport, certify
from .evaluate_robustness import evaluate_robustness
from .fgsm import FGSM
from .pgd import PGD
from .robustness_report import RobustnessReport

__all__ = [
    "APGD",
    "FGSM",
    "PGD",
    "AdversarialTrainer",
    "Attack",
    "CertificateReport",
    "RobustnessReport",
    "certify",
    "evaluate_robustness",
]
