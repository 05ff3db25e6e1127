"""Recorded calls, from a recording or transcript to a scored result: keys, results, reviews, and one folder for each step."""
