"""Handovers over HTTP: how conversations enter the queue, the agents' operations, and the page in which an agent answers."""
