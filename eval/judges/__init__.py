"""Judges (models that grade), detectors, and the agreement of both with labels."""
