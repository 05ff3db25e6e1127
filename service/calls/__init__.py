"""Recorded calls, from a recording or transcript to a scored result; one folder for each step."""
