-- Answers of every task: feedback names its task and a reason, and a table holds what summaries do not have.
-- Feedback that is older than these columns is on summaries.

ALTER TABLE omni_feedback ADD COLUMN task VARCHAR(64) DEFAULT 'summarize' ENCODE BYTEDICT NOT NULL;

ALTER TABLE omni_feedback ADD COLUMN reason VARCHAR(32) ENCODE BYTEDICT;

CREATE TABLE IF NOT EXISTS omni_answer_details (
    request_id           VARCHAR(128)   NOT NULL ENCODE ZSTD DISTKEY,
    task                 VARCHAR(64)    NOT NULL ENCODE BYTEDICT,
    generation_timestamp TIMESTAMPTZ    NOT NULL ENCODE RAW SORTKEY,
    conversation         VARCHAR(64)             ENCODE ZSTD,
    inputs               VARCHAR(65535)          ENCODE ZSTD,
    tools                VARCHAR(65535) NOT NULL ENCODE ZSTD,
    schema_version       INTEGER        NOT NULL ENCODE AZ64,
    source_key           VARCHAR(1024)  NOT NULL ENCODE ZSTD,
    PRIMARY KEY (request_id)
)
DISTSTYLE KEY;
