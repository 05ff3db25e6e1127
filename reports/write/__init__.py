"""The weekly report as page, digest and table of numbers."""
