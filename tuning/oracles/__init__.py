"""Oracles decide which values are tried next, and how ranges narrow."""
