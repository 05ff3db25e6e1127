"""Whether a new version of the service may get traffic: the smoke test, and the function that ECS calls for it."""
