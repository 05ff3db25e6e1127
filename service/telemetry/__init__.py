"""The structured log, the figures made of its events, and traces."""
