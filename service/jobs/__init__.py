"""Work that runs beside the API: each job is idempotent and can be replayed."""
