"""The harness's door to MLflow: the store, its worker process, its lock."""
