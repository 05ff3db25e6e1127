-- Per day (UTC) and pair: how many summaries agents rated, and how. `edited` counts summaries that an agent rewrote.
CREATE OR REPLACE VIEW v_effectiveness AS
WITH edits AS (
    SELECT request_id, COUNT(*) AS times
    FROM public.omni_feedback
    WHERE edited_summary IS NOT NULL
    GROUP BY request_id
)

SELECT
    (s.generation_timestamp AT TIME ZONE 'UTC')::DATE AS day,
    s.task,
    s.environment,
    s.pair,
    s.pair_digest,
    COUNT(*) AS answered,
    COUNT(s.helpful_feedback) AS rated,
    SUM(CASE WHEN s.helpful_feedback = 'helpful' THEN 1 ELSE 0 END) AS helpful,
    SUM(CASE WHEN s.helpful_feedback = 'not_helpful' THEN 1 ELSE 0 END) AS not_helpful,
    COUNT(e.request_id) AS edited,
    SUM(CASE WHEN s.helpful_feedback = 'helpful' THEN 1 ELSE 0 END)::DOUBLE PRECISION
        / NULLIF(COUNT(s.helpful_feedback), 0) AS helpful_rate,
    SUM(CASE WHEN s.helpful_feedback = 'not_helpful' THEN 1 ELSE 0 END)::DOUBLE PRECISION
        / NULLIF(COUNT(s.helpful_feedback), 0) AS not_helpful_rate
FROM public.omni_summaries AS s
LEFT JOIN edits AS e ON e.request_id = s.request_id
GROUP BY 1, 2, 3, 4, 5
WITH NO SCHEMA BINDING;
