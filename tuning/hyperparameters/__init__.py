"""Hyperparameters with exact ranges, random values, and positions within ranges."""
