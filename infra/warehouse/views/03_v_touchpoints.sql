-- The customer's last intent in the IVR before an agent requested the summary, and whether it is also the intent of the agent's
-- contact. A summary without an IVR interaction has NULLs there, so that it counts in the denominator of shares.
CREATE OR REPLACE VIEW v_touchpoints AS
WITH ivr AS (
    SELECT
        account_number,
        request_id,
        interaction_timestamp,
        intent,
        ROW_NUMBER() OVER (
            PARTITION BY request_id ORDER BY interaction_timestamp DESC, position DESC
        ) AS newest
    FROM public.omni_summary_interactions
    WHERE channel = 'ivr' AND interaction_timestamp <= generation_timestamp
)

SELECT
    s.request_id,
    s.contact_id,
    s.initial_contact_id,
    s.account_number,
    s.generation_timestamp,
    s.task,
    s.environment,
    s.pair,
    s.pair_digest,
    s.ivr_intent AS agent_intent,
    t.intent AS touch_intent,
    t.interaction_timestamp AS touch_timestamp,
    DATEDIFF(minute, t.interaction_timestamp, s.generation_timestamp) AS minutes_between,
    t.intent = s.ivr_intent AS same_intent,
    s.helpful_feedback
FROM public.omni_summaries AS s
LEFT JOIN ivr AS t
    ON t.account_number = s.account_number AND t.request_id = s.request_id AND t.newest = 1
WITH NO SCHEMA BINDING;
