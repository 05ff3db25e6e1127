-- One row per call and criterion, with the call's own data, the model's rating and the newest rating by a person. Every query
-- must choose a tenant: WHERE tenant_id = ...
CREATE OR REPLACE VIEW v_criteria AS
WITH people AS (
    SELECT
        tenant_id,
        call_id,
        criterion_id,
        human_verdict,
        ROW_NUMBER() OVER (
            PARTITION BY tenant_id, call_id, criterion_id ORDER BY overridden_at DESC, overridden_by DESC
        ) AS newest
    FROM public.omni_call_overrides
)

SELECT
    k.tenant_id,
    k.call_id,
    k.call_date,
    (k.call_date AT TIME ZONE 'UTC')::DATE AS day,
    c.agent_id,
    c.queue,
    c.state,
    k.form_id,
    k.form_version,
    k.section,
    k.criterion_id,
    k.question,
    k.weight,
    k.required,
    k.verdict,
    k.passed,
    k.score,
    k.evidence,
    p.human_verdict,
    COALESCE(p.human_verdict, k.verdict) AS standing_verdict,
    k.pair_digest
FROM public.omni_call_criteria AS k
JOIN public.omni_calls AS c
    ON c.tenant_id = k.tenant_id AND c.call_id = k.call_id
LEFT JOIN people AS p
    ON p.tenant_id = k.tenant_id AND p.call_id = k.call_id AND p.criterion_id = k.criterion_id AND p.newest = 1
WITH NO SCHEMA BINDING;
