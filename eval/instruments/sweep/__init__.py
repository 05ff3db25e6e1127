"""Evaluates every prompt with every model and compares quality, cost and latency."""
