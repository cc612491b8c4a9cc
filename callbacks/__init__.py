"""What is passed to `model.fit(callbacks=[...])`."""

from .early_stopping import EarlyStopping

__all__ = ["EarlyStopping"]
