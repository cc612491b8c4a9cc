"""Evaluation of robustness in stages, and checks that the attacks are effective."""
