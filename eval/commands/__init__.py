"""Commands of ``python -m eval``, one module each; heavy imports stay inside the functions."""
