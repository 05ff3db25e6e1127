-- For rows exported as JSON lines (gzip), with times in ISO 8601. What the service writes to S3 is not of this form: it holds
-- account numbers and customers' words, and goes through the loader.
COPY {target} (
    object_key,
    etag,
    kind,
    outcome,
    reason,
    row_count,
    loaded_at
)
FROM '{source}'
IAM_ROLE {role}
FORMAT AS JSON 'auto'
TIMEFORMAT 'auto'
GZIP;
