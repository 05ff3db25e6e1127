-- Per day (UTC) and tenant: tone and score of calls. A call without a tone or a score counts only in `calls`.
CREATE OR REPLACE VIEW v_tone AS
SELECT
    tenant_id,
    (call_date AT TIME ZONE 'UTC')::DATE AS day,
    COUNT(*) AS calls,
    SUM(CASE WHEN state = 'needs_review' THEN 1 ELSE 0 END) AS needs_review,
    COUNT(tone_score) AS toned,
    SUM(tone_score)::DOUBLE PRECISION / NULLIF(COUNT(tone_score), 0) AS tone_score,
    SUM(CASE WHEN sentiment = 'POSITIVE' THEN 1 ELSE 0 END) AS positive,
    SUM(CASE WHEN sentiment = 'NEUTRAL' THEN 1 ELSE 0 END) AS neutral,
    SUM(CASE WHEN sentiment = 'NEGATIVE' THEN 1 ELSE 0 END) AS negative,
    COUNT(percentage) AS scored,
    SUM(percentage)::DOUBLE PRECISION / NULLIF(COUNT(percentage), 0) AS percentage,
    SUM(CASE WHEN passed THEN 1 ELSE 0 END)::DOUBLE PRECISION
        / NULLIF(SUM(CASE WHEN passed IS NULL THEN 0 ELSE 1 END), 0) AS pass_rate
FROM public.omni_calls
GROUP BY 1, 2
WITH NO SCHEMA BINDING;
