"""The life of a tenant: created, configured, suspended, exported, and deleted with a receipt."""
