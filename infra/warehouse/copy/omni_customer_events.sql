COPY {target} (
    tenant,
    event_id,
    customer,
    event_type,
    occurred_at,
    known_at,
    service,
    satisfaction,
    amount,
    home_kind,
    home_garden,
    home_built,
    content,
    loaded_at,
    schema_version,
    source
)
FROM '{source}'
IAM_ROLE {role}
FORMAT AS PARQUET;
