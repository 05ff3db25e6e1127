"""The warehouse: one SQL in Redshift's dialect, run by Redshift or by an embedded DuckDB file."""
