"""The harness's commands of ``omni``, one module each; heavy imports belong inside the functions."""
