-- For rows exported as JSON lines (gzip), with times in ISO 8601. What the service writes to S3 is not of this form: it holds
-- account numbers and customers' words, and goes through the loader.
COPY {target} (
    contact_id,
    account_number,
    summary_text,
    model_used,
    generation_timestamp,
    latency_ms,
    cache_hit,
    helpful_feedback,
    feedback_timestamp,
    request_id,
    unique_process_id,
    initial_contact_id,
    summary_id,
    task,
    client,
    ivr_intent,
    answered_by,
    arm,
    degraded,
    prompt_version,
    pair,
    pair_digest,
    registry_version,
    rollout_arm,
    environment,
    date_range,
    interactions_considered,
    history_days,
    channels,
    last_channel,
    max_history_days,
    max_interactions,
    channel_filter,
    input_tokens,
    output_tokens,
    prompt_cache_read_tokens,
    prompt_cache_write_tokens,
    cost_usd,
    guard_findings,
    guard_kinds,
    repaired,
    summary_words,
    schema_version,
    source_key
)
FROM '{source}'
IAM_ROLE {role}
FORMAT AS JSON 'auto'
TIMEFORMAT 'auto'
GZIP;
