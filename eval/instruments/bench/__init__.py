"""Measures the harness: its speed against a bare loop, its statistics by simulation."""
