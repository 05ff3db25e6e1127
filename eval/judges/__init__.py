"""Judges (models that grade) and detectors, and how far both agree with labels."""
