"""Evidence, signatures, the ledger of releases, promotion, rollout and audit."""
