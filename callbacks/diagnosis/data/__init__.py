"""Samples of the data, and facts about them."""
