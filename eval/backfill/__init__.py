"""Processes history in bulk: a pair summarises it, or the guard rescores it, in chunks that survive an interruption."""
