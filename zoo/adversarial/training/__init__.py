"""Adversarial training with `fit`, its metrics and its checks."""
