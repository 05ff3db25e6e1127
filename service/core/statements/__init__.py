"""What a text states, and whether its source supports it."""
