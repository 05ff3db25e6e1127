"""What every endpoint shares: access, limits, correlation, problem bodies, OpenAPI."""
