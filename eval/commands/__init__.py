"""Commands of the harness, one module each; imports of their work are inside the functions."""
