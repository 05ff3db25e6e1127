-- For rows exported as JSON lines (gzip), with times in ISO 8601. What the service writes to S3 is not of this form: it holds
-- account numbers and customers' words, and goes through the loader.
COPY {target} (
    request_id,
    contact_id,
    account_number,
    generation_timestamp,
    position,
    channel,
    interaction_timestamp,
    intent
)
FROM '{source}'
IAM_ROLE {role}
FORMAT AS JSON 'auto'
TIMEFORMAT 'auto'
GZIP;
