"""Callbacks, learning-rate schedules and related tools for training Keras models."""

from . import schedules
from .diagnosis import Diagnosis, diagnose
from .early_stopping import EarlyStopping
from .find_learning_rate import find_learning_rate
from .monitors import (
    ActivationHistograms,
    GradientHistograms,
    UpdateRatio,
    first_layer_images,
    plot_first_layer,
)
from .resume_training import ResumeTraining
from .schedule_learning_rate import ScheduleLearningRate
from .schedule_momentum import ScheduleMomentum
from .snapshots import Snapshots

__all__ = [
    "ActivationHistograms",
    "Diagnosis",
    "EarlyStopping",
    "GradientHistograms",
    "ResumeTraining",
    "ScheduleLearningRate",
    "ScheduleMomentum",
    "Snapshots",
    "UpdateRatio",
    "diagnose",
    "find_learning_rate",
    "first_layer_images",
    "plot_first_layer",
    "schedules",
]
