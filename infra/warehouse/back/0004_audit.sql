-- Takes 0004_audit back. Lost: every audit event and finding; the bucket keeps them, and loading them again brings them back.

DROP TABLE IF EXISTS omni_findings;

DROP TABLE IF EXISTS omni_audit_events;
