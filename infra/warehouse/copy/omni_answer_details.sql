COPY {target} (
    request_id,
    task,
    generation_timestamp,
    conversation,
    inputs,
    tools,
    schema_version,
    source_key
)
FROM '{source}'
IAM_ROLE {role}
FORMAT AS PARQUET;
