"""The harness's commands of ``omni``, one module each; heavy imports stay inside the functions."""
