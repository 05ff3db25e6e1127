COPY {target} (
    tenant_id,
    call_id,
    criterion_id,
    call_date,
    form_id,
    form_version,
    section,
    question,
    weight,
    required,
    verdict,
    passed,
    score,
    evidence,
    evidence_turn,
    pair_digest,
    scored_at
)
FROM '{source}'
IAM_ROLE {role}
FORMAT AS PARQUET;
