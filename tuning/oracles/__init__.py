"""Oracles that decide which values to try next and how ranges narrow."""
