"""Stand-ins that let the service run with no cloud account."""
