"""Errors, clock, canonical JSON, strict parsing, files, display and processes."""
