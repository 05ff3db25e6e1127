"""Signed releases: statements, verification, the registry of pairs, last known good."""
