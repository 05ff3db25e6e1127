COPY {target} (
    tenant_id,
    call_id,
    criterion_id,
    overridden_at,
    form_id,
    form_version,
    model_verdict,
    human_verdict,
    overridden_by,
    pair_digest
)
FROM '{source}'
IAM_ROLE {role}
FORMAT AS PARQUET;
