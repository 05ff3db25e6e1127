-- One customer's concern from its first contact to its last: its contacts, channels and duration. The channel of a contact is
-- that of the newest interaction before it; contacts, channels and intents are in chronological order. Summaries alone have
-- contacts: an answer of another task is its own contact, and the turns of its conversation are no journey.
CREATE OR REPLACE VIEW v_journeys AS
WITH answers AS (
    SELECT
        account_number,
        initial_contact_id,
        contact_id,
        generation_timestamp,
        ivr_intent,
        last_channel,
        cache_hit,
        helpful_feedback,
        ROW_NUMBER() OVER (
            PARTITION BY account_number, initial_contact_id, contact_id ORDER BY generation_timestamp, request_id
        ) AS answer_number
    FROM public.omni_summaries
    WHERE contact_id <> request_id
),

contacts AS (
    SELECT
        account_number,
        initial_contact_id,
        contact_id,
        MIN(generation_timestamp) AS first_at,
        MAX(generation_timestamp) AS last_at,
        COUNT(*) AS summaries,
        SUM(CASE WHEN cache_hit THEN 1 ELSE 0 END) AS reused,
        SUM(CASE WHEN helpful_feedback = 'helpful' THEN 1 ELSE 0 END) AS helpful,
        SUM(CASE WHEN helpful_feedback = 'not_helpful' THEN 1 ELSE 0 END) AS not_helpful,
        MAX(CASE WHEN answer_number = 1 THEN ivr_intent END) AS intent,
        COALESCE(MAX(CASE WHEN answer_number = 1 THEN last_channel END), 'none') AS channel
    FROM answers
    GROUP BY account_number, initial_contact_id, contact_id
),

journeys AS (
    SELECT
        account_number,
        initial_contact_id,
        MIN(first_at) AS started_at,
        MAX(last_at) AS ended_at,
        COUNT(*) AS contacts,
        COUNT(*) - 1 AS transfers,
        SUM(summaries) AS summaries,
        SUM(reused) AS reused,
        SUM(helpful) AS helpful,
        SUM(not_helpful) AS not_helpful,
        LISTAGG(contact_id, '>') WITHIN GROUP (ORDER BY first_at, contact_id) AS contact_path,
        LISTAGG(channel, '>') WITHIN GROUP (ORDER BY first_at, contact_id) AS channel_path,
        LISTAGG(intent, '>') WITHIN GROUP (ORDER BY first_at, contact_id) AS intent_path
    FROM contacts
    GROUP BY account_number, initial_contact_id
)

SELECT
    account_number,
    initial_contact_id,
    ROW_NUMBER() OVER (PARTITION BY account_number ORDER BY started_at, initial_contact_id) AS journey_number,
    started_at,
    ended_at,
    DATEDIFF(second, started_at, ended_at) AS elapsed_s,
    DATEDIFF(
        minute, LAG(ended_at) OVER (PARTITION BY account_number ORDER BY started_at, initial_contact_id), started_at
    ) AS minutes_since_previous,
    contacts,
    transfers,
    summaries,
    reused,
    helpful,
    not_helpful,
    contact_path,
    channel_path,
    intent_path
FROM journeys
WITH NO SCHEMA BINDING;
