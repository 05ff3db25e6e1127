"""Who may call: clients with hashed secrets, signed tokens of one hour, limits per client, shared between tasks."""
