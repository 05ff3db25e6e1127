COPY {target} (
    event_id,
    event_timestamp,
    level,
    session_id,
    contact_id,
    user_id,
    event_type,
    correlation_id,
    task,
    environment,
    channel,
    tool_name,
    latency_ms,
    handover_triggered,
    reason,
    validation_passed,
    hallucination_detected,
    duration_seconds,
    total_turns,
    resolution_status,
    error_code,
    data,
    schema_version,
    source_key
)
FROM '{source}'
IAM_ROLE {role}
FORMAT AS PARQUET;
