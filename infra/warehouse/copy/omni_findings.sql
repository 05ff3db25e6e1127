COPY {target} (
    log_id,
    finding_timestamp,
    user_query,
    tool_name,
    tool_results,
    model_response,
    hallucination_type,
    severity,
    validation_details,
    action_taken,
    session_id,
    correlation_id,
    task,
    schema_version,
    source_key
)
FROM '{source}'
IAM_ROLE {role}
FORMAT AS PARQUET;
