"""One folder per task, discovered by its name."""
