"""Execution of trials: models are built, trained and saved, optionally by fold."""
