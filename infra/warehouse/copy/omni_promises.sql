COPY {target} (
    task,
    environment,
    sequence,
    pair_digest,
    metric,
    value,
    low,
    high,
    n,
    unit
)
FROM '{source}'
IAM_ROLE {role}
FORMAT AS PARQUET;
