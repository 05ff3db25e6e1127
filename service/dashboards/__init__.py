"""Definitions of the dashboards' figures (``*.yaml``), live queries, and the export for QuickSight."""
