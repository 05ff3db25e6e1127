"""The harness's access to MLflow: the store, its worker process, its locks."""
