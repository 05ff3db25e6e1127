-- For rows exported as JSON lines (gzip), with times in ISO 8601. What the service writes to S3 is not of this form: it holds
-- account numbers and customers' words, and goes through the loader.
COPY {target} (
    task,
    environment,
    sequence,
    pair_digest,
    metric,
    value,
    low,
    high,
    n,
    unit
)
FROM '{source}'
IAM_ROLE {role}
FORMAT AS JSON 'auto'
TIMEFORMAT 'auto'
GZIP;
