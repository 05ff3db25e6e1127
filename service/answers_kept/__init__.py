"""Answers that were given: their records and tables, reuse, feedback, reconciliation."""
