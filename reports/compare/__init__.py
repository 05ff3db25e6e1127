"""Comparisons, findings and advice of one week."""
