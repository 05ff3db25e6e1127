-- What happened with customers of tenants, as their systems told it: the source of features. A row is written once.

CREATE TABLE IF NOT EXISTS omni_customer_events (
    tenant         VARCHAR(64)    NOT NULL ENCODE BYTEDICT,
    event_id       VARCHAR(256)   NOT NULL ENCODE ZSTD,
    customer       VARCHAR(64)    NOT NULL ENCODE ZSTD DISTKEY,
    event_type     VARCHAR(16)    NOT NULL ENCODE BYTEDICT,
    occurred_at    TIMESTAMPTZ    NOT NULL ENCODE RAW SORTKEY,
    known_at       TIMESTAMPTZ    NOT NULL ENCODE AZ64,
    service        VARCHAR(200)            ENCODE ZSTD,
    satisfaction   INTEGER                 ENCODE AZ64,
    amount         DECIMAL(20,12)          ENCODE AZ64,
    home_kind      VARCHAR(16)             ENCODE BYTEDICT,
    home_garden    BOOLEAN                 ENCODE ZSTD,
    home_built     INTEGER                 ENCODE AZ64,
    content        VARCHAR(64)    NOT NULL ENCODE ZSTD,
    loaded_at      TIMESTAMPTZ    NOT NULL ENCODE AZ64,
    schema_version INTEGER        NOT NULL ENCODE AZ64,
    source         VARCHAR(1024)  NOT NULL ENCODE ZSTD,
    PRIMARY KEY (tenant, event_id)
)
DISTSTYLE KEY;
