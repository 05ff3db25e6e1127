"""Commands of ``python -m eval`` that have a module of their own."""
