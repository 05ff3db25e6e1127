"""Sentiment and key phrases of calls, by turn and by call."""
