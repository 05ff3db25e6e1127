"""Commands of ``python -m service``, a module for each kind; heavy imports stay inside the functions."""
