-- The warehouse's tables in Redshift's dialect; service/events.py holds the same columns in the same order (contract test).
-- Two rows with the same key are the same event. Redshift uses keys only for planning and does not enforce them; merging does.
-- Rows of one account are on one slice (DISTKEY), so that journeys and joins stay local; time is the sort key of every table
-- that reports read by week.

CREATE TABLE IF NOT EXISTS omni_summaries (
    contact_id                VARCHAR(256)   NOT NULL ENCODE ZSTD,
    account_number            VARCHAR(64)    NOT NULL ENCODE ZSTD DISTKEY,
    summary_text              VARCHAR(65535) NOT NULL ENCODE ZSTD,
    model_used                VARCHAR(128)   NOT NULL ENCODE BYTEDICT,
    generation_timestamp      TIMESTAMPTZ    NOT NULL ENCODE RAW SORTKEY,
    latency_ms                INTEGER        NOT NULL ENCODE AZ64,
    cache_hit                 BOOLEAN        NOT NULL ENCODE ZSTD,
    helpful_feedback          VARCHAR(16)             ENCODE BYTEDICT,
    feedback_timestamp        TIMESTAMPTZ             ENCODE AZ64,
    request_id                VARCHAR(128)   NOT NULL ENCODE ZSTD,
    unique_process_id         VARCHAR(256)   NOT NULL ENCODE ZSTD,
    initial_contact_id        VARCHAR(256)   NOT NULL ENCODE ZSTD,
    summary_id                VARCHAR(128)   NOT NULL ENCODE ZSTD,
    task                      VARCHAR(64)    NOT NULL ENCODE BYTEDICT,
    client                    VARCHAR(128)   NOT NULL ENCODE BYTEDICT,
    ivr_intent                VARCHAR(128)   NOT NULL ENCODE BYTEDICT,
    answered_by               VARCHAR(128)   NOT NULL ENCODE BYTEDICT,
    arm                       VARCHAR(16)    NOT NULL ENCODE BYTEDICT,
    degraded                  BOOLEAN        NOT NULL ENCODE ZSTD,
    prompt_version            VARCHAR(64)    NOT NULL ENCODE BYTEDICT,
    pair                      VARCHAR(128)   NOT NULL ENCODE BYTEDICT,
    pair_digest               VARCHAR(128)   NOT NULL ENCODE BYTEDICT,
    registry_version          INTEGER        NOT NULL ENCODE AZ64,
    rollout_arm               VARCHAR(16)    NOT NULL ENCODE BYTEDICT,
    environment               VARCHAR(16)    NOT NULL ENCODE BYTEDICT,
    date_range                VARCHAR(64)             ENCODE ZSTD,
    interactions_considered   INTEGER        NOT NULL ENCODE AZ64,
    history_days              INTEGER        NOT NULL ENCODE AZ64,
    channels                  VARCHAR(128)   NOT NULL ENCODE BYTEDICT,
    last_channel              VARCHAR(16)             ENCODE BYTEDICT,
    max_history_days          INTEGER        NOT NULL ENCODE AZ64,
    max_interactions          INTEGER        NOT NULL ENCODE AZ64,
    channel_filter            VARCHAR(128)            ENCODE BYTEDICT,
    input_tokens              INTEGER        NOT NULL ENCODE AZ64,
    output_tokens             INTEGER        NOT NULL ENCODE AZ64,
    prompt_cache_read_tokens  INTEGER        NOT NULL ENCODE AZ64,
    prompt_cache_write_tokens INTEGER        NOT NULL ENCODE AZ64,
    cost_usd                  DECIMAL(20,12)          ENCODE AZ64,
    guard_findings            INTEGER        NOT NULL ENCODE AZ64,
    guard_kinds               VARCHAR(256)   NOT NULL ENCODE BYTEDICT,
    repaired                  BOOLEAN        NOT NULL ENCODE ZSTD,
    summary_words             INTEGER        NOT NULL ENCODE AZ64,
    schema_version            INTEGER        NOT NULL ENCODE AZ64,
    source_key                VARCHAR(1024)  NOT NULL ENCODE ZSTD,
    PRIMARY KEY (contact_id, generation_timestamp)
)
BACKUP YES
DISTSTYLE KEY;

CREATE TABLE IF NOT EXISTS omni_summary_interactions (
    request_id            VARCHAR(128) NOT NULL ENCODE ZSTD,
    contact_id            VARCHAR(256) NOT NULL ENCODE ZSTD,
    account_number        VARCHAR(64)  NOT NULL ENCODE ZSTD DISTKEY,
    generation_timestamp  TIMESTAMPTZ  NOT NULL ENCODE RAW,
    position              INTEGER      NOT NULL ENCODE AZ64,
    channel               VARCHAR(16)  NOT NULL ENCODE BYTEDICT,
    interaction_timestamp TIMESTAMPTZ  NOT NULL ENCODE AZ64,
    intent                VARCHAR(128) NOT NULL ENCODE BYTEDICT,
    PRIMARY KEY (request_id, position)
)
DISTSTYLE KEY
COMPOUND SORTKEY (generation_timestamp, request_id);

CREATE TABLE IF NOT EXISTS omni_feedback (
    feedback_id        VARCHAR(128)   NOT NULL ENCODE ZSTD,
    request_id         VARCHAR(128)   NOT NULL ENCODE ZSTD,
    contact_id         VARCHAR(256)   NOT NULL ENCODE ZSTD,
    initial_contact_id VARCHAR(256)   NOT NULL ENCODE ZSTD,
    unique_process_id  VARCHAR(256)   NOT NULL ENCODE ZSTD,
    account_number     VARCHAR(64)    NOT NULL ENCODE ZSTD DISTKEY,
    helpful_feedback   VARCHAR(16)    NOT NULL ENCODE BYTEDICT,
    feedback_timestamp TIMESTAMPTZ    NOT NULL ENCODE RAW SORTKEY,
    comment            VARCHAR(65535)          ENCODE ZSTD,
    edited_summary     VARCHAR(65535)          ENCODE ZSTD,
    summary_timestamp  TIMESTAMPTZ    NOT NULL ENCODE AZ64,
    pair               VARCHAR(128)   NOT NULL ENCODE BYTEDICT,
    pair_digest        VARCHAR(128)   NOT NULL ENCODE BYTEDICT,
    prompt_version     VARCHAR(64)    NOT NULL ENCODE BYTEDICT,
    model_used         VARCHAR(128)   NOT NULL ENCODE BYTEDICT,
    schema_version     INTEGER        NOT NULL ENCODE AZ64,
    source_key         VARCHAR(1024)  NOT NULL ENCODE ZSTD,
    PRIMARY KEY (feedback_id)
)
DISTSTYLE KEY;

-- Releases and promises get only a few rows a week, so every node holds a copy.
CREATE TABLE IF NOT EXISTS omni_releases (
    task               VARCHAR(64)   NOT NULL,
    environment        VARCHAR(16)   NOT NULL,
    sequence           INTEGER       NOT NULL,
    kind               VARCHAR(32)   NOT NULL,
    pair               VARCHAR(128)  NOT NULL,
    pair_digest        VARCHAR(128)  NOT NULL,
    prompt_version     VARCHAR(64)   NOT NULL,
    registry_version   INTEGER       NOT NULL,
    released_at        TIMESTAMPTZ   NOT NULL SORTKEY,
    released_by        VARCHAR(256)  NOT NULL,
    why                VARCHAR(4096) NOT NULL,
    attestation_digest VARCHAR(128)  NOT NULL,
    PRIMARY KEY (task, environment, sequence)
)
DISTSTYLE ALL;

CREATE TABLE IF NOT EXISTS omni_promises (
    task        VARCHAR(64)      NOT NULL,
    environment VARCHAR(16)      NOT NULL,
    sequence    INTEGER          NOT NULL,
    pair_digest VARCHAR(128)     NOT NULL,
    metric      VARCHAR(128)     NOT NULL,
    value       DOUBLE PRECISION,
    low         DOUBLE PRECISION,
    high        DOUBLE PRECISION,
    n           INTEGER          NOT NULL,
    unit        VARCHAR(32)      NOT NULL,
    PRIMARY KEY (task, environment, sequence, metric)
)
DISTSTYLE ALL;

-- The outcome of each object that was loaded or rejected: one row per version of an object.
CREATE TABLE IF NOT EXISTS omni_loads (
    object_key VARCHAR(1024) NOT NULL ENCODE ZSTD,
    etag       VARCHAR(128)  NOT NULL ENCODE ZSTD,
    kind       VARCHAR(32)   NOT NULL ENCODE BYTEDICT,
    outcome    VARCHAR(16)   NOT NULL ENCODE BYTEDICT,
    reason     VARCHAR(1024)          ENCODE ZSTD,
    row_count  INTEGER       NOT NULL ENCODE AZ64,
    loaded_at  TIMESTAMPTZ   NOT NULL ENCODE RAW SORTKEY,
    PRIMARY KEY (object_key, etag)
)
DISTSTYLE EVEN;
