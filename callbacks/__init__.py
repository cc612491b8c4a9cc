"""What is passed to `model.fit(callbacks=[...])`."""

from .early_stopping import EarlyStopping
from .find_learning_rate import find_learning_rate

__all__ = ["EarlyStopping", "find_learning_rate"]
