"""Answers that were given: outbox, spool and stores behind them, reuse, feedback, reconciliation."""
