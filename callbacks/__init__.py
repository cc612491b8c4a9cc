"""What is passed to `model.fit(callbacks=[...])`."""

from . import schedules
from .early_stopping import EarlyStopping
from .find_learning_rate import find_learning_rate
from .schedule_learning_rate import ScheduleLearningRate
from .schedule_momentum import ScheduleMomentum
from .snapshots import Snapshots

__all__ = [
    "EarlyStopping",
    "ScheduleLearningRate",
    "ScheduleMomentum",
    "Snapshots",
    "find_learning_rate",
    "schedules",
]
