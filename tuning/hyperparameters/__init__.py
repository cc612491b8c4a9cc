"""Hyperparameters with exact ranges, and tools to draw and convert their values."""
