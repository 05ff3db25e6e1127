"""Commands of ``python -m eval`` that live in modules of their own."""
