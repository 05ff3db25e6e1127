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
FORMAT AS PARQUET;
