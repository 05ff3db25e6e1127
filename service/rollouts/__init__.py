"""A running rollout: which pair a request gets, what both sides did, shadow answers."""
