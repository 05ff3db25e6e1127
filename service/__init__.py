"""The production service and all code that it shares with the harness; the container ships this package alone."""
