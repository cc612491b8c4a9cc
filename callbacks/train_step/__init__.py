"""Runs callbacks inside the training step and records weight updates.

All callbacks in the same call to `fit` share one step and one recorder.
"""

from .optimizers import updating_optimizer, updating_optimizers
from .step_callback import StepCallback
from .step_hyperparameter import StepHyperparameter

__all__ = [
    "StepCallback",
    "StepHyperparameter",
    "updating_optimizer",
    "updating_optimizers",
]
