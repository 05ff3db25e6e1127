"""The three dashboards of R-DASHBOARDS: each figure's definition (``*.yaml``), its live reading, its export for QuickSight."""
