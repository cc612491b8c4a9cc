"""Runs trials: builds, trains and checkpoints their models, on folds if requested."""
