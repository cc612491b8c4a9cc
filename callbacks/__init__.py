"""What is passed to `model.fit(callbacks=[...])`."""

from . import schedules
from .schedule_learning_rate import ScheduleLearningRate
from .schedule_momentum import ScheduleMomentum

__all__ = ["ScheduleLearningRate", "ScheduleMomentum", "schedules"]
