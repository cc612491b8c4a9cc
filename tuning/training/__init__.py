"""Execution of trials: models are built, trained and saved, optionally with folds."""
