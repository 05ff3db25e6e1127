"""Behaviour checks: must-behave cases and attacks, sent through the running service by promptfoo, scored here."""
