"""One module per task, discovered by name."""
