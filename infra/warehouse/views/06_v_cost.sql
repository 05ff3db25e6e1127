-- Per day (UTC) and pair: the metered cost and the planned cost of the same summaries. R-COST plans a low and a high cost per
-- model; a reused summary costs nothing, and a model that R-COST does not name is in no estimate.
CREATE OR REPLACE VIEW v_cost AS
WITH answers AS (
    SELECT
        (generation_timestamp AT TIME ZONE 'UTC')::DATE AS day,
        task,
        environment,
        pair,
        pair_digest,
        cost_usd,
        input_tokens,
        output_tokens,
        prompt_cache_read_tokens,
        prompt_cache_write_tokens,
        CASE WHEN cache_hit OR arm NOT IN ('primary', 'backup') THEN 'none' ELSE model_used END AS paid_model
    FROM public.omni_summaries
),

estimated AS (
    SELECT
        day, task, environment, pair, pair_digest, cost_usd,
        input_tokens, output_tokens, prompt_cache_read_tokens, prompt_cache_write_tokens,
        CASE paid_model
            WHEN 'nova-lite' THEN 0.008 WHEN 'nova-micro' THEN 0.004 WHEN 'claude-3-5-haiku' THEN 0.025
            WHEN 'claude-3-haiku' THEN 0.020 WHEN 'llama-3-2-3b' THEN 0.005 WHEN 'mistral-7b' THEN 0.008
        END::DECIMAL(10,4) AS seed_low,
        CASE paid_model
            WHEN 'nova-lite' THEN 0.012 WHEN 'nova-micro' THEN 0.008 WHEN 'claude-3-5-haiku' THEN 0.035
            WHEN 'claude-3-haiku' THEN 0.030 WHEN 'llama-3-2-3b' THEN 0.010 WHEN 'mistral-7b' THEN 0.015
        END::DECIMAL(10,4) AS seed_high
    FROM answers
)

SELECT
    day,
    task,
    environment,
    pair,
    pair_digest,
    COUNT(*) AS answered,
    COUNT(cost_usd) AS priced,
    SUM(cost_usd) AS cost_usd,
    SUM(cost_usd)::DOUBLE PRECISION / NULLIF(COUNT(cost_usd), 0) AS cost_per_summary_usd,
    COUNT(seed_low) AS estimated,
    SUM(seed_low) AS seed_low_usd,
    SUM(seed_high) AS seed_high_usd,
    SUM(input_tokens) AS input_tokens,
    SUM(output_tokens) AS output_tokens,
    SUM(prompt_cache_read_tokens) AS prompt_cache_read_tokens,
    SUM(prompt_cache_write_tokens) AS prompt_cache_write_tokens
FROM estimated
GROUP BY day, task, environment, pair, pair_digest
WITH NO SCHEMA BINDING;
