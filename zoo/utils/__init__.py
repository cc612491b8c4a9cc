"""Helpers that the rooms of zoo share."""
