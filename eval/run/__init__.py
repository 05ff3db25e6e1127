"""Collects answers: cases through a task, bounded, cached, resumable, scored meanwhile."""
