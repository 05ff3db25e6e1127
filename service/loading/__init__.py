"""Moves what S3 announces into the warehouse: objects in, checked rows out, dead letters for the rest."""
