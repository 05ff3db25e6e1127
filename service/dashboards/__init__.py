"""Seed 000's three dashboards: what each figure is (``*.yaml``), read live from the warehouse, and exported for QuickSight."""
