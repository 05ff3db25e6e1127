"""Commands of ``python -m service`` and of ``omni``, a module for each kind; heavy imports stay inside the functions."""
