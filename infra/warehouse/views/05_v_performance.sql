-- Per day (UTC) and pair: latency as agents experienced it, reused answers included, and the sources of answers. Failover and
-- prompt-cache rates are shares of the answers for which a model was called.
CREATE OR REPLACE VIEW v_performance AS
WITH answers AS (
    SELECT
        (generation_timestamp AT TIME ZONE 'UTC')::DATE AS day,
        task,
        environment,
        pair,
        pair_digest,
        latency_ms,
        CASE WHEN cache_hit THEN 1 ELSE 0 END AS reused,
        CASE WHEN degraded THEN 1 ELSE 0 END AS degraded,
        CASE WHEN NOT cache_hit AND arm IN ('primary', 'backup') THEN 1 ELSE 0 END AS by_model,
        CASE WHEN NOT cache_hit AND arm = 'backup' THEN 1 ELSE 0 END AS failed_over,
        CASE WHEN NOT cache_hit AND arm IN ('primary', 'backup') AND prompt_cache_read_tokens > 0 THEN 1 ELSE 0 END
            AS prefix_cached
    FROM public.omni_summaries
)

SELECT
    day,
    task,
    environment,
    pair,
    pair_digest,
    COUNT(*) AS answered,
    PERCENTILE_CONT(0.50) WITHIN GROUP (ORDER BY latency_ms) AS p50_ms,
    PERCENTILE_CONT(0.95) WITHIN GROUP (ORDER BY latency_ms) AS p95_ms,
    PERCENTILE_CONT(0.99) WITHIN GROUP (ORDER BY latency_ms) AS p99_ms,
    SUM(reused)::DOUBLE PRECISION / COUNT(*) AS reuse_rate,
    SUM(prefix_cached)::DOUBLE PRECISION / NULLIF(SUM(by_model), 0) AS prompt_cache_rate,
    SUM(degraded) AS degraded,
    SUM(degraded)::DOUBLE PRECISION / COUNT(*) AS degraded_rate,
    SUM(failed_over) AS failed_over,
    SUM(failed_over)::DOUBLE PRECISION / NULLIF(SUM(by_model), 0) AS failover_rate
FROM answers
GROUP BY day, task, environment, pair, pair_digest
WITH NO SCHEMA BINDING;
