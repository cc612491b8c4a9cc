"""Adversarial training, and evaluations of robustness that check themselves."""

from .apgd import APGD
from .attack import Attack
from .fgsm import FGSM
from .pgd import PGD

__all__ = ["APGD", "FGSM", "PGD", "Attack"]
