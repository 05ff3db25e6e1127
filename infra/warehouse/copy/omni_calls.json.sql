-- For rows exported as JSON lines (gzip), with times in ISO 8601. What the service writes to S3 is not of this form: it holds
-- what was said in a call, and goes through the worker.
COPY {target} (
    tenant_id,
    call_id,
    call_date,
    state,
    review,
    form_id,
    form_version,
    passed,
    total_score,
    max_score,
    percentage,
    resolution,
    sentiment,
    customer_tone,
    agent_tone,
    tone_score,
    agent_id,
    queue,
    turns,
    duration_s,
    transcriber,
    redactor,
    pii_found,
    pair,
    pair_digest,
    prompt_version,
    registry_version,
    model_used,
    latency_ms,
    input_tokens,
    output_tokens,
    cost_usd,
    scored_at,
    schema_version,
    source_key
)
FROM '{source}'
IAM_ROLE {role}
FORMAT AS JSON 'auto'
TIMEFORMAT 'auto'
GZIP;
