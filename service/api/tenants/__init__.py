"""/v1/tenants: a tenant's life for the operators of the service."""
