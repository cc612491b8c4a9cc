"""Staged robustness evaluation, with checks that the attacks are effective."""
