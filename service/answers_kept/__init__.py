"""Stored summaries: reuse, feedback, the stores behind them, and their reconciliation."""
