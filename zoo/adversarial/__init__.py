"""Adversarial attacks, adversarial training and evaluation of robustness."""

from .adversarial_trainer import AdversarialTrainer
from .apgd import APGD
from .attack import Attack
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
    "RobustnessReport",
    "Square",
    "evaluate_robustness",
]
