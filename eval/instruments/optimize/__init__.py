"""Searches for better prompts on one half of the cases for tuning, and measures what it found on cases that it never saw."""
