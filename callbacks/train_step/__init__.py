"""Runs callbacks inside the training step, records updates and samples batches.

All callbacks in the same call to `fit` share one step, one recorder and one sampler.
"""

from .batch_sample import BatchSample
from .optimizers import updating_optimizer, updating_optimizers
from .step_callback import StepCallback
from .step_hyperparameter import StepHyperparameter

__all__ = [
    "BatchSample",
    "StepCallback",
    "StepHyperparameter",
    "updating_optimizer",
    "updating_optimizers",
]
