-- Agreement of the model with people, per tenant, form and criterion, over the calls that a person reviewed: Cohen's kappa over
-- yes, no and na (Cohen 1960). NULL if chance agreement is 1, where kappa is undefined.
CREATE OR REPLACE VIEW v_agreement AS
WITH judged AS (
    SELECT tenant_id, form_id, criterion_id, verdict, human_verdict
    FROM public.v_criteria
    WHERE human_verdict IS NOT NULL AND verdict IS NOT NULL
),

counted AS (
    SELECT
        tenant_id,
        form_id,
        criterion_id,
        COUNT(*)::DOUBLE PRECISION AS n,
        SUM(CASE WHEN verdict = human_verdict THEN 1 ELSE 0 END)::DOUBLE PRECISION AS agreed,
        SUM(CASE WHEN verdict = 'yes' THEN 1 ELSE 0 END)::DOUBLE PRECISION AS model_yes,
        SUM(CASE WHEN verdict = 'no' THEN 1 ELSE 0 END)::DOUBLE PRECISION AS model_no,
        SUM(CASE WHEN verdict = 'na' THEN 1 ELSE 0 END)::DOUBLE PRECISION AS model_na,
        SUM(CASE WHEN human_verdict = 'yes' THEN 1 ELSE 0 END)::DOUBLE PRECISION AS human_yes,
        SUM(CASE WHEN human_verdict = 'no' THEN 1 ELSE 0 END)::DOUBLE PRECISION AS human_no,
        SUM(CASE WHEN human_verdict = 'na' THEN 1 ELSE 0 END)::DOUBLE PRECISION AS human_na
    FROM judged
    GROUP BY tenant_id, form_id, criterion_id
),

shares AS (
    SELECT
        tenant_id,
        form_id,
        criterion_id,
        n,
        agreed::DOUBLE PRECISION / NULLIF(n, 0) AS agreement,
        (model_yes * human_yes + model_no * human_no + model_na * human_na)::DOUBLE PRECISION
            / NULLIF(n * n, 0) AS by_chance
    FROM counted
)

SELECT
    tenant_id,
    form_id,
    criterion_id,
    n::INTEGER AS n,
    agreement,
    (agreement - by_chance)::DOUBLE PRECISION / NULLIF(1 - by_chance, 0) AS kappa
FROM shares
WITH NO SCHEMA BINDING;
