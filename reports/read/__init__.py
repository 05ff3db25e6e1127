"""What the weekly report reads from the warehouse, kept as counts."""
