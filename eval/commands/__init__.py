"""Commands of the harness, one module each; what they import at the top must be light."""
