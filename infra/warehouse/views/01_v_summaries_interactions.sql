-- One row per summary and interaction that it was made from, oldest first; a summary without interactions has one row with NULLs.
CREATE OR REPLACE VIEW v_summaries_interactions AS
SELECT
    s.request_id,
    s.contact_id,
    s.initial_contact_id,
    s.account_number,
    s.generation_timestamp,
    s.task,
    s.environment,
    s.client,
    s.ivr_intent,
    s.pair,
    s.pair_digest,
    s.arm,
    s.cache_hit,
    s.degraded,
    s.helpful_feedback,
    s.interactions_considered,
    i.position,
    i.channel,
    i.interaction_timestamp,
    i.intent,
    DATEDIFF(minute, i.interaction_timestamp, s.generation_timestamp) AS minutes_before
FROM public.omni_summaries AS s
LEFT JOIN public.omni_summary_interactions AS i
    ON i.account_number = s.account_number AND i.request_id = s.request_id
WITH NO SCHEMA BINDING;
