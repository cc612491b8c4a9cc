"""Attacks, their search loops, and a function that attacks a whole dataset."""
