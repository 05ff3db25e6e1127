"""Takes a call from the queue to its scorecard, and failed calls through again."""
