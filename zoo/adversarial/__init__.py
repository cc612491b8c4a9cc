"""Adversarial attacks and training, robustness evaluation and certification."""

from .attacks.apgd import APGD
from .attacks.attack import Attack
from .attacks.fgsm import FGSM
from .attacks.pgd import PGD
from .attacks.square import Square
from .certification.certificate_report import CertificateReport
from .certification.certify import certify
from .certification.smoothed_classifier import SmoothedClassifier
from .certification.smoothing_report import SmoothingReport
from .evaluation.compare import compare
from .evaluation.comparison_report import ComparisonReport
from .evaluation.evaluate_robustness import evaluate_robustness
from .evaluation.minimal_perturbations import minimal_perturbations
from .evaluation.perturbation_report import PerturbationReport
from .evaluation.robustness_report import RobustnessReport
from .training.adversarial_trainer import AdversarialTrainer
from .training.certified_trainer import CertifiedTrainer
from .training.ibp_normal import IBPNormal

__all__ = [
    "APGD",
    "FGSM",
    "PGD",
    "AdversarialTrainer",
    "Attack",
    "CertificateReport",
    "CertifiedTrainer",
    "ComparisonReport",
    "IBPNormal",
    "PerturbationReport",
    "RobustnessReport",
    "SmoothedClassifier",
    "SmoothingReport",
    "Square",
    "certify",
    "compare",
    "evaluate_robustness",
    "minimal_perturbations",
]
