"""Releases: evidence, signatures, the ledger, promotion, rollout and audit."""
