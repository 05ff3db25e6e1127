"""The harness: it calls the service's own task functions, so what is evaluated is what is served."""
