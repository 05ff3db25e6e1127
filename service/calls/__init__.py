"""Calls from a recording or transcript to a scored result: keys, transcripts, redaction, results; no infrastructure."""
