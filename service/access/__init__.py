"""Access control: clients with hashed secrets, signed tokens (one hour), limits per client. Knows no HTTP framework."""
