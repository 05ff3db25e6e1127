-- For rows exported as JSON lines (gzip), with times in ISO 8601. What the service writes to S3 is not of this form: it holds
-- account numbers and customers' words, and goes through the loader.
COPY {target} (
    task,
    environment,
    sequence,
    kind,
    pair,
    pair_digest,
    prompt_version,
    registry_version,
    released_at,
    released_by,
    why,
    attestation_digest
)
FROM '{source}'
IAM_ROLE {role}
FORMAT AS JSON 'auto'
TIMEFORMAT 'auto'
GZIP;
