"""Reads a model: its graph of layers, its losses and its optimizer."""
