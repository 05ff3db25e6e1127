"""The three dashboards of R-DASHBOARDS: definitions of figures (``*.yaml``), live queries, and the export for QuickSight."""
