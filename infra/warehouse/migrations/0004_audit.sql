-- What conversations leave: their events, and what the guard found in the replies.

CREATE TABLE IF NOT EXISTS omni_audit_events (
    event_id               VARCHAR(160)     NOT NULL ENCODE ZSTD,
    event_timestamp        TIMESTAMPTZ      NOT NULL ENCODE RAW SORTKEY,
    level                  VARCHAR(8)       NOT NULL ENCODE BYTEDICT,
    session_id             VARCHAR(64)      NOT NULL ENCODE ZSTD DISTKEY,
    contact_id             VARCHAR(64)               ENCODE ZSTD,
    user_id                VARCHAR(64)               ENCODE ZSTD,
    event_type             VARCHAR(32)      NOT NULL ENCODE BYTEDICT,
    correlation_id         VARCHAR(128)     NOT NULL ENCODE ZSTD,
    task                   VARCHAR(64)      NOT NULL ENCODE BYTEDICT,
    environment            VARCHAR(16)      NOT NULL ENCODE BYTEDICT,
    channel                VARCHAR(16)               ENCODE BYTEDICT,
    tool_name              VARCHAR(128)              ENCODE BYTEDICT,
    latency_ms             DOUBLE PRECISION          ENCODE ZSTD,
    handover_triggered     BOOLEAN                   ENCODE ZSTD,
    reason                 VARCHAR(256)              ENCODE ZSTD,
    validation_passed      BOOLEAN                   ENCODE ZSTD,
    hallucination_detected BOOLEAN                   ENCODE ZSTD,
    duration_seconds       DOUBLE PRECISION          ENCODE ZSTD,
    total_turns            INTEGER                   ENCODE AZ64,
    resolution_status      VARCHAR(16)               ENCODE BYTEDICT,
    error_code             VARCHAR(64)               ENCODE BYTEDICT,
    data                   VARCHAR(65535)            ENCODE ZSTD,
    schema_version         INTEGER          NOT NULL ENCODE AZ64,
    source_key             VARCHAR(1024)    NOT NULL ENCODE ZSTD,
    PRIMARY KEY (event_id)
)
DISTSTYLE KEY;

CREATE TABLE IF NOT EXISTS omni_findings (
    log_id             VARCHAR(160)   NOT NULL ENCODE ZSTD,
    finding_timestamp  TIMESTAMPTZ    NOT NULL ENCODE RAW SORTKEY,
    user_query         VARCHAR(65535) NOT NULL ENCODE ZSTD,
    tool_name          VARCHAR(1024)           ENCODE ZSTD,
    tool_results       VARCHAR(65535)          ENCODE ZSTD,
    model_response     VARCHAR(65535) NOT NULL ENCODE ZSTD,
    hallucination_type VARCHAR(64)    NOT NULL ENCODE BYTEDICT,
    severity           VARCHAR(8)     NOT NULL ENCODE BYTEDICT,
    validation_details VARCHAR(65535) NOT NULL ENCODE ZSTD,
    action_taken       VARCHAR(16)    NOT NULL ENCODE BYTEDICT,
    session_id         VARCHAR(64)    NOT NULL ENCODE ZSTD DISTKEY,
    correlation_id     VARCHAR(128)   NOT NULL ENCODE ZSTD,
    task               VARCHAR(64)    NOT NULL ENCODE BYTEDICT,
    schema_version     INTEGER        NOT NULL ENCODE AZ64,
    source_key         VARCHAR(1024)  NOT NULL ENCODE ZSTD,
    PRIMARY KEY (log_id)
)
DISTSTYLE KEY;
