"""Attacks, their search loops, and their runner over a data set."""
