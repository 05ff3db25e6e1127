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
FORMAT AS PARQUET;
