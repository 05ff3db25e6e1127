COPY {target} (
    task,
    environment,
    sequence,
    kind,
    pair,
    pair_digest,
    prompt_version,
    registry_version,
    released_at,
    released_by,
    why,
    attestation_digest
)
FROM '{source}'
IAM_ROLE {role}
FORMAT AS PARQUET;
