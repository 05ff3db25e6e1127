"""The customer's interaction history: its shape, its table, its bounded reader."""
