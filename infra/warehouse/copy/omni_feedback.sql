COPY {target} (
    feedback_id,
    request_id,
    contact_id,
    initial_contact_id,
    unique_process_id,
    account_number,
    helpful_feedback,
    feedback_timestamp,
    comment,
    edited_summary,
    summary_timestamp,
    pair,
    pair_digest,
    prompt_version,
    model_used,
    schema_version,
    source_key,
    task,
    reason
)
FROM '{source}'
IAM_ROLE {role}
FORMAT AS PARQUET;
