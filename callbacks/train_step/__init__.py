"""Runs callbacks inside the training step. All callbacks of a `fit` share one step."""

from .common import updating_optimizer, updating_optimizers
from .step_callback import StepCallback
from .step_tensor import StepTensor

__all__ = ["StepCallback", "StepTensor", "updating_optimizer", "updating_optimizers"]
