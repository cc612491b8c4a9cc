"""What is passed to `model.fit(callbacks=[...])`."""

from .early_stopping import EarlyStopping
from .find_learning_rate import find_learning_rate
from .snapshots import Snapshots

__all__ = ["EarlyStopping", "Snapshots", "find_learning_rate"]
