-- For rows exported as JSON lines (gzip), with times in ISO 8601. What the service writes to S3 is not of this form: it holds
-- what was said in a call, and goes through the worker.
COPY {target} (
    tenant_id,
    call_id,
    criterion_id,
    overridden_at,
    form_id,
    form_version,
    model_verdict,
    human_verdict,
    overridden_by,
    pair_digest
)
FROM '{source}'
IAM_ROLE {role}
FORMAT AS JSON 'auto'
TIMEFORMAT 'auto'
GZIP;
