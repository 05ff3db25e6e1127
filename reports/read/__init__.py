"""Reads the weekly report's data from the warehouse and keeps it as counts."""
