"""Measures how often a search finds the documents that a question needs, on public data that are not shipped."""
