"""Whether the service is set up and fit for traffic: doctor, readiness, smoke tests of a deployment."""
