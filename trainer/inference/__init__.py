"""Fusing with trained weights: the Python API, and the folder that weights live in."""
