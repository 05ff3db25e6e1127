"""Handovers to a person: who waits for one, and callbacks that a worker rings, retries and closes."""
