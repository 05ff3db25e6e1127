"""Collects answers: runs cases through a task with bounded concurrency, a reply cache, resumption, and parallel scoring."""
