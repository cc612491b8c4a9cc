"""Adversarial training in `fit`, its metrics, and its checks."""
