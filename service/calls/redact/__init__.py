"""Removes the caller's personal data from a transcript before anything is stored, logged or sent to a model."""
