"""Labelled claims: what a case's facts state, minimal false contrasts of them, and a judge's questions about both."""
