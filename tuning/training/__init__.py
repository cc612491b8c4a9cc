"""Execution of trials: builds, trains and checkpoints models, optionally on folds."""
