"""Adversarial attacks, adversarial training and robustness evaluation."""

from .attacks.apgd import APGD
from .attacks.attack import Attack
from .attacks.fgsm import FGSM
from .attacks.pgd import PGD
from .attacks.square import Square
from .evaluation.evaluate_robustness import evaluate_robustness
from .evaluation.robustness_report import RobustnessReport
from .training.adversarial_trainer import AdversarialTrainer

__all__ = [
    "APGD",
    "FGSM",
    "PGD",
    "AdversarialTrainer",
    "Attack",
    "RobustnessReport",
    "Square",
    "evaluate_robustness",
]
