"""Who may call: clients with hashed secrets, signed tokens of an hour, and limits per client. Knows no HTTP framework."""
