"""One run of a task: attempts, results, the guard, and turns of a dialogue."""
