"""The call pipeline: takes calls from the queue to their scorecards, and replays failed calls."""
