"""Tenants from creation to deletion, and the erasure of a customer or tenant in every store."""
