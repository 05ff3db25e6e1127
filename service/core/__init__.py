"""The pair and one run of it: no store and no HTTP."""
