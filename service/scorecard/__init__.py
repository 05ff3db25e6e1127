"""What the task ``scorecard`` is made of: form, evidence, windows, reading and arithmetic; pure functions, no infrastructure."""
