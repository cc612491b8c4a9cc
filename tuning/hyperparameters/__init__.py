"""Hyperparameters with exact ranges, drawn values, and positions in their ranges."""
