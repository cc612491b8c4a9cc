"""Oracles, which decide which values to try next and how ranges narrow."""
