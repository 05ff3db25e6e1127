"""Versioned records in DynamoDB tables, and the same tables in memory for tests and for `local` without an AWS."""
