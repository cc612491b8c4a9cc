"""Adversarial training with `fit`, including metrics and checks."""
