"""Loads event objects from S3 into the warehouse as checked rows, and writes dead letters for those that cannot be loaded."""
