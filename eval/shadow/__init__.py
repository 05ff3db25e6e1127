"""Judges a candidate by its shadow answers: the gate's figures that need no labels, on real requests."""
