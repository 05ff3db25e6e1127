"""Simulates weeks of traffic by synthetic agents with known ground truth, as input for loader, report and harvest."""
