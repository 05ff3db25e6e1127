"""Writes the weekly report as a page, a digest and a table of numbers."""
