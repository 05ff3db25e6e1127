"""The pair and one run of it; knows no store and no HTTP."""
