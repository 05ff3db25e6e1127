-- One row per rating of a criterion by a person, with the model's rating for comparison; an equal rating is a confirmation.
-- A rating is valid from overridden_at to replaced_at (NULL: it is the newest), so any past state can be queried.
CREATE OR REPLACE VIEW v_criterion_words AS
SELECT
    o.tenant_id,
    o.call_id,
    o.criterion_id,
    o.overridden_at,
    LEAD(o.overridden_at) OVER (
        PARTITION BY o.tenant_id, o.call_id, o.criterion_id ORDER BY o.overridden_at, o.overridden_by
    ) AS replaced_at,
    o.form_id,
    o.form_version,
    k.question,
    o.model_verdict,
    o.human_verdict,
    CASE WHEN o.model_verdict = o.human_verdict THEN 1 ELSE 0 END AS confirms,
    o.pair_digest
FROM public.omni_call_overrides AS o
LEFT JOIN public.omni_call_criteria AS k
    ON k.tenant_id = o.tenant_id AND k.call_id = o.call_id AND k.criterion_id = o.criterion_id
WITH NO SCHEMA BINDING;
