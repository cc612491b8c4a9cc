"""Errors of `ResumeTraining`."""


class ResumeError(ValueError):
    """Says why a training run cannot be saved or resumed."""


class SaveError(OSError):
    """Says why a save cannot be written or read."""
