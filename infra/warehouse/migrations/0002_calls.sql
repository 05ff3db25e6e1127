-- Scored calls, their criteria and people's overrides. Every key begins with the tenant, and every view has it as a column.
-- Rows of one call are on one slice; time is the sort key.

CREATE TABLE IF NOT EXISTS omni_calls (
    tenant_id        VARCHAR(64)    NOT NULL ENCODE BYTEDICT,
    call_id          VARCHAR(64)    NOT NULL ENCODE ZSTD DISTKEY,
    call_date        TIMESTAMPTZ    NOT NULL ENCODE RAW SORTKEY,
    state            VARCHAR(16)    NOT NULL ENCODE BYTEDICT,
    review           VARCHAR(512)   NOT NULL ENCODE BYTEDICT,
    form_id          VARCHAR(64)             ENCODE BYTEDICT,
    form_version     INTEGER                 ENCODE AZ64,
    passed           BOOLEAN                 ENCODE ZSTD,
    total_score      DECIMAL(20,12)          ENCODE AZ64,
    max_score        DECIMAL(20,12)          ENCODE AZ64,
    percentage       DECIMAL(20,12)          ENCODE AZ64,
    resolution       VARCHAR(16)             ENCODE BYTEDICT,
    sentiment        VARCHAR(16)             ENCODE BYTEDICT,
    customer_tone    VARCHAR(16)             ENCODE BYTEDICT,
    agent_tone       VARCHAR(16)             ENCODE BYTEDICT,
    tone_score       INTEGER                 ENCODE AZ64,
    agent_id         VARCHAR(64)             ENCODE ZSTD,
    queue            VARCHAR(64)             ENCODE BYTEDICT,
    turns            INTEGER        NOT NULL ENCODE AZ64,
    duration_s       DOUBLE PRECISION NOT NULL ENCODE ZSTD,
    transcriber      VARCHAR(64)    NOT NULL ENCODE BYTEDICT,
    redactor         VARCHAR(64)    NOT NULL ENCODE BYTEDICT,
    pii_found        INTEGER        NOT NULL ENCODE AZ64,
    pair             VARCHAR(128)   NOT NULL ENCODE BYTEDICT,
    pair_digest      VARCHAR(128)   NOT NULL ENCODE BYTEDICT,
    prompt_version   VARCHAR(64)    NOT NULL ENCODE BYTEDICT,
    registry_version INTEGER        NOT NULL ENCODE AZ64,
    model_used       VARCHAR(128)   NOT NULL ENCODE BYTEDICT,
    latency_ms       INTEGER        NOT NULL ENCODE AZ64,
    input_tokens     INTEGER        NOT NULL ENCODE AZ64,
    output_tokens    INTEGER        NOT NULL ENCODE AZ64,
    cost_usd         DECIMAL(20,12)          ENCODE AZ64,
    scored_at        TIMESTAMPTZ    NOT NULL ENCODE AZ64,
    schema_version   INTEGER        NOT NULL ENCODE AZ64,
    source_key       VARCHAR(1024)  NOT NULL ENCODE ZSTD,
    PRIMARY KEY (tenant_id, call_id)
)
DISTSTYLE KEY;

CREATE TABLE IF NOT EXISTS omni_call_criteria (
    tenant_id     VARCHAR(64)    NOT NULL ENCODE BYTEDICT,
    call_id       VARCHAR(64)    NOT NULL ENCODE ZSTD DISTKEY,
    criterion_id  VARCHAR(64)    NOT NULL ENCODE BYTEDICT,
    call_date     TIMESTAMPTZ    NOT NULL ENCODE RAW SORTKEY,
    form_id       VARCHAR(64)    NOT NULL ENCODE BYTEDICT,
    form_version  INTEGER        NOT NULL ENCODE AZ64,
    section       VARCHAR(64)    NOT NULL ENCODE BYTEDICT,
    question      VARCHAR(1200)  NOT NULL ENCODE ZSTD,
    weight        DECIMAL(20,12) NOT NULL ENCODE AZ64,
    required      BOOLEAN        NOT NULL ENCODE ZSTD,
    verdict       VARCHAR(8)              ENCODE BYTEDICT,
    passed        BOOLEAN                 ENCODE ZSTD,
    score         DECIMAL(20,12) NOT NULL ENCODE AZ64,
    evidence      VARCHAR(16)    NOT NULL ENCODE BYTEDICT,
    evidence_turn INTEGER                 ENCODE AZ64,
    pair_digest   VARCHAR(128)   NOT NULL ENCODE BYTEDICT,
    scored_at     TIMESTAMPTZ    NOT NULL ENCODE AZ64,
    PRIMARY KEY (tenant_id, call_id, criterion_id)
)
DISTSTYLE KEY;

CREATE TABLE IF NOT EXISTS omni_call_overrides (
    tenant_id     VARCHAR(64)  NOT NULL ENCODE BYTEDICT,
    call_id       VARCHAR(64)  NOT NULL ENCODE ZSTD DISTKEY,
    criterion_id  VARCHAR(64)  NOT NULL ENCODE BYTEDICT,
    overridden_at TIMESTAMPTZ  NOT NULL ENCODE RAW SORTKEY,
    form_id       VARCHAR(64)  NOT NULL ENCODE BYTEDICT,
    form_version  INTEGER      NOT NULL ENCODE AZ64,
    model_verdict VARCHAR(8)            ENCODE BYTEDICT,
    human_verdict VARCHAR(8)   NOT NULL ENCODE BYTEDICT,
    overridden_by VARCHAR(128) NOT NULL ENCODE ZSTD,
    pair_digest   VARCHAR(128) NOT NULL ENCODE BYTEDICT,
    PRIMARY KEY (tenant_id, call_id, criterion_id, overridden_at)
)
DISTSTYLE KEY;
