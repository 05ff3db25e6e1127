"""Synthetic agents on simulated weeks: something for loader, report and harvest to work on, with the truth known."""
