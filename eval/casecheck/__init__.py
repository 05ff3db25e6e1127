"""Checks a task's case files: each case by itself, all of them against each other, their balance, the judge's labels."""
