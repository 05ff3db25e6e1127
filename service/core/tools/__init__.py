"""The tools that a run may use: what is allowed, what came of each use, and what was written only once."""
