-- The leaderboard of failing criteria: of the calls to which a criterion applied, the share that failed it. A person's rating
-- takes precedence over the model's. `place` orders a tenant's criteria, the worst first.
CREATE OR REPLACE VIEW v_criterion_failures AS
WITH counted AS (
    SELECT
        tenant_id,
        form_id,
        criterion_id,
        MAX(question) AS question,
        SUM(CASE WHEN standing_verdict IN ('yes', 'no') THEN 1 ELSE 0 END) AS calls,
        SUM(CASE WHEN standing_verdict = 'no' THEN 1 ELSE 0 END) AS failures,
        SUM(CASE WHEN standing_verdict = 'na' THEN 1 ELSE 0 END) AS not_applicable,
        SUM(CASE WHEN standing_verdict IS NULL THEN 1 ELSE 0 END) AS unanswered,
        SUM(CASE WHEN evidence IN ('unverified', 'missing') THEN 1 ELSE 0 END) AS without_evidence
    FROM public.v_criteria
    GROUP BY tenant_id, form_id, criterion_id
),

rated AS (
    SELECT
        tenant_id, form_id, criterion_id, question, calls, failures, not_applicable, unanswered, without_evidence,
        failures::DOUBLE PRECISION / NULLIF(calls, 0) AS fail_rate
    FROM counted
)

SELECT
    tenant_id,
    form_id,
    criterion_id,
    question,
    calls,
    failures,
    fail_rate,
    not_applicable,
    unanswered,
    without_evidence,
    ROW_NUMBER() OVER (
        PARTITION BY tenant_id ORDER BY COALESCE(fail_rate, -1) DESC, calls DESC, form_id, criterion_id
    ) AS place
FROM rated
WITH NO SCHEMA BINDING;
