"""The service's commands of ``omni``, a module for each kind; heavy imports stay inside the functions."""
