"""Checks a deployment by its settings and says what to do; changes nothing."""
