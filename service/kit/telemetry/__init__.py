"""The structured log, the metrics made from its events, and traces."""
