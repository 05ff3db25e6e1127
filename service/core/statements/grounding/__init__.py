"""What a text states, and whether a source supports it: for the guard when serving, for a scorer when evaluating."""
