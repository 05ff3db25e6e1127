"""Finds and removes personal data in free text."""
