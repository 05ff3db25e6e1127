"""The settings of each feature, under their flat names."""

from decimal import Decimal
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr

from service.kit.frame.strict import WebOrigin

REPO_ROOT = Path(__file__).resolve().parents[3]

Stage = Literal["local", "dev", "test", "prod"]
RedactorName = Literal["patterns", "presidio", "comprehend"]


class SettingsGroup(BaseModel):
    """The settings of one feature; ``_ms`` and ``_s`` in a name are its unit. ``alias_generator`` builds the flat names."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class AwsSettings(SettingsGroup, alias_generator="aws_{}".format):
    """The AWS account of the data stores."""

    region: str = "us-east-1"  # of all stores and models
    endpoint: str | None = None  # URL of a local AWS emulator


class BedrockSettings(SettingsGroup, alias_generator="bedrock_{}".format):
    """The models. In `local` without an endpoint, `omni eval` and `omni serve` start the bundled model themselves."""

    endpoint: str | None = None  # a server that speaks Bedrock's wire
    # Name of the model that answers at `endpoint` in place of Bedrock's; shown with its answers.
    stand_in: str | None = None
    # Servers of other models by id: {"hosted_vllm/llama": "http://gpu-1:8000/v1"}. Keys: the providers' own variables.
    model_endpoints: dict[str, str] = Field(default_factory=dict, alias="model_endpoints")


class RegistrySettings(SettingsGroup, alias_generator="registry_{}".format):
    """The registry (MLflow): an sqlite store or an HTTP server."""

    uri: str = f"sqlite:///{REPO_ROOT / 'mlflow' / 'store' / 'mlflow.db'}"  # MLflow
    # A release reaches a service after at most 1.1 times this, and after a second where the tasks share a table.
    refresh_s: float = Field(default=4.0, gt=0)
    timeout_s: int = Field(default=2, ge=1)  # of one look


class ReleaseSettings(SettingsGroup):
    """Signed releases. The service needs `trusted_keys` only; evaluating and promoting need one of the signing keys."""

    trusted_keys: Path | None = None  # PEM public keys, several during a rotation; default: next to the local key
    # Ed25519 private key, PEM (PKCS#8), mode 0600; in `local` it is created on first use
    signing_key_file: Path | None = None
    signing_key: SecretStr | None = None  # the key itself instead of a file, for a CI secret
    signing_kms_key: str | None = None  # id or ARN of an AWS KMS key of spec ECC_NIST_EDWARDS25519
    attestation_days: int = Field(default=30, ge=1, le=365)  # a promotion needs a passed gate that is not older
    evidence_bucket: str | None = None  # evaluations put each pair's evidence there, for promotions in other stages
    ledger_dir: Path | None = None  # second copy of the releases; default: next to a sqlite store, else under state_dir
    stage: Stage | None = None  # what releases are for; default: `prod` in `aws`; code reads `Settings.stage`
    # Whether pairs are released and served with kinds of harm that no judge looked at; default: `allow` in `local` and `dev`
    unseen: Literal["refuse", "allow"] | None = Field(default=None, alias="release_unseen")


class StoreSettings(SettingsGroup):
    """Data stores that several features share."""

    interactions_table: str = "ucdp-interactions"  # customers' history
    config_table: str = "cci-lite-config"  # tenants and their forms
    shared_table: str = "omni-shared-state"  # what all tasks of a service know together
    conversations_table: str = "omni-conversations"  # conversations of an earlier version, which are only read
    messages_table: str = "omni-messages"  # what was said in conversations, an item for each message
    conversation_hours: int = Field(default=24, ge=1)  # how long a conversation is kept after its last message
    handovers_table: str = "omni-handovers"  # customers who wait for a person
    handover_update_s: float = Field(default=30.0, ge=1, le=60)  # how often one who waits is told place and wait
    callbacks_table: str = "omni-callbacks"  # calls that were promised to customers
    findings_table: str = "omni-findings"  # what guards found in answers
    callbacks_kms_key: str = "alias/omni-callbacks"  # id, ARN or alias of the KMS key that seals their numbers
    voicemails_table: str = "omni-voicemails"  # messages that callers left; the same key seals their numbers
    features_table: str = "omni-features"  # figures of customers, by a keyed hash
    archive_bucket: str = "omni-channel-insights"  # answers, feedback, releases
    records_bucket: str | None = None  # Amazon Connect's recordings and chats; read by `omni customer` alone
    events_queue: str = "omni-channel-events"  # S3 notifications of new objects; `omni load-events` reads it
    timeout_s: float = Field(default=2.0, gt=0, alias="store_timeout_s")  # of one store access
    # Of the whole read of a history: a digest within the required 5 s beats an early 503.
    history_timeout_s: float = Field(default=4.5, gt=0)


class SummarySettings(SettingsGroup):
    """Kept answers: tables and spool, and the reuse of summaries."""

    table: str = Field(default="SummaryCache", alias="summaries_table")  # kept summaries
    days: int = Field(default=7, ge=1, alias="summary_days")  # time to live of a row
    outbox_table: str = "omni-answer-outbox"  # answers that were sent and that table and bucket may not hold yet
    answers_table: str = "omni-answers"  # answers of `POST /v1/<task>`
    keep_wait_ms: int = Field(default=150, ge=0)  # how long an answer may wait for the outbox; 0: not at all
    reuse_window_s: float = Field(default=300.0, ge=0)  # how long a summary may be reused after a transfer; 0: never
    spool_dir: Path | None = None  # records not yet written to the stores; default: under state_dir
    spool_max_mb: int = Field(default=256, ge=1)  # size of the spool
    writer_process: bool = False  # write answers to the stores in a separate process; `serve` turns it on


class CallSettings(SettingsGroup, alias_generator="calls_{}".format):
    """Calls: recordings and transcripts arrive under `<tenant>/calls/`, results are written under `<tenant>/`."""

    bucket: str = "cci-lite-input"  # recordings and transcripts
    results_bucket: str = Field(default="cci-lite-results", alias="results_bucket")  # results
    queue: str = "cci-lite-analysis-queue"  # announcements of new recordings
    table: str = "cci-lite-calls"  # the state of each call
    kms_key: str | None = None  # id or ARN; results are encrypted with it, the tenant in the encryption context
    topic: str | None = None  # ARN of the SNS topic for failed transcription jobs
    # Default: `amazon` in `aws`, `whisper` if it is installed
    transcriber: Literal["none", "whisper", "amazon"] | None = Field(default=None, alias="transcriber")
    transcribe_language: str = Field(default="en-US", alias="transcribe_language")  # of recordings that name none
    transcribe_role: str | None = Field(default=None, alias="transcribe_role")  # ARN of the data-access role
    # What Amazon Transcribe bills in your region, for tenants' budgets; without it they count no transcription and say so
    transcribe_usd_per_minute: Decimal | None = Field(default=None, gt=0, alias="transcribe_usd_per_minute")
    # `patterns`, `presidio`, `comprehend`; default: `comprehend` in `aws`, `presidio` if installed, else `patterns`
    redactor: RedactorName | None = Field(default=None, alias="redactor")
    # Who reads sentiment and key phrases: `words` or `comprehend`; default: `comprehend` in `aws`
    insights: Literal["words", "comprehend"] | None = None
    overwrite: bool = False  # score a call again whose bytes are uploaded again; needs a bucket with versions


class WarehouseSettings(SettingsGroup, alias_generator="warehouse_{}".format):
    """The embedded warehouse (a DuckDB file), and the time zone of reports from either warehouse."""

    path: Path | None = None  # the DuckDB file; default: under state_dir
    memory_mb: int = Field(default=2048, ge=256)  # of DuckDB
    threads: int = Field(default=2, ge=1)  # of DuckDB
    wait_s: float = Field(default=5.0, ge=0)  # how long to wait for another process that has the file open
    # Of the texts that are loaded; default: as for calls, or an error without Presidio
    redactor: RedactorName | None = None
    report_zone: str = Field(default="UTC", alias="report_zone")  # IANA time zone of the weeks and days in reports


class RedshiftSettings(SettingsGroup, alias_generator="redshift_{}".format):
    """Redshift's Data API; Redshift is the warehouse if a workgroup or cluster is set."""

    workgroup: str | None = None  # Redshift Serverless
    cluster: str | None = None  # or a provisioned cluster
    database: str = "omni"  # its name
    secret_arn: str | None = None  # in Secrets Manager; default: the caller's IAM identity
    copy_role: str | None = None  # ARN of COPY's role for reading the staging prefix; default: the cluster's
    staging_prefix: str = "omni-channel/warehouse-staging/"  # of rows on their way
    timeout_s: float = Field(default=300.0, gt=0)  # of one statement or batch


class AccessSettings(SettingsGroup, alias_generator="access_{}".format):
    """Access control: clients and token keys are in the shared table; files in `dir` are taken over into it once."""

    dir: Path | None = None  # `keys/*.pem` and `clients.json`; default: under state_dir
    kms_key: str = "alias/omni-token-keys"  # id, ARN or alias of the KMS key that seals private token keys
    issuer: str = "omni-insights"  # of tokens
    audience: str = "omni-insights"  # of tokens


class ServingSettings(SettingsGroup):
    """The HTTP service."""

    host: str = "127.0.0.1"  # where to serve
    port: int = Field(default=8080, ge=0, le=65_535)  # 0: any free one
    required_tasks: tuple[str, ...] = ("summarize",)  # /readyz is 503 until each of them has a pair in production
    max_body_bytes: int = Field(default=262_144, ge=1024)  # beyond it 413
    max_header_bytes: int = Field(default=32_768, ge=4096)  # request line, headers and trailers; beyond it 431
    max_headers: int = Field(default=100, ge=20)  # beyond it 431
    header_timeout_s: float = Field(default=10.0, gt=0)  # for headers to arrive; beyond it 408
    write_timeout_s: float = Field(default=30.0, gt=0)  # for a client that does not read its answer
    max_connections: int = Field(default=4096, ge=16)  # of the process; at most its file descriptors less 256
    max_connections_per_peer: int = Field(default=2048, ge=1)  # of one address: a load balancer is one, too
    embed_origins: tuple[WebOrigin, ...] = ()  # pages that may show the widget or frame /workspace
    crowded_from_s: float = Field(default=0.15, ge=0)  # event loop's mean lateness from which digests answer; 0: never


class TelemetrySettings(SettingsGroup):
    """Tracing, metrics and logs. Spans are exported only if an OTLP/HTTP endpoint is set; `aws` logs metrics for CloudWatch."""

    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"  # of the log
    log_key: SecretStr | None = Field(
        default=None, min_length=32
    )  # keys the hashes that stand for accounts; made in `local`
    otlp_endpoint: str | None = None  # base URL; /v1/traces is appended
    otlp_headers: SecretStr | None = None  # name=value,name=value: for example a collector's key
    # Share of traced requests, for requests without a sampling decision of the caller.
    trace_share: float = Field(default=0.1, ge=0, le=1)
    emf: bool | None = None  # metrics as CloudWatch log lines; default: in `aws`


class ToolSettings(SettingsGroup, alias_generator="tools_{}".format):
    """The tools of tasks. Without a server, a task's own functions are its tools, in this process."""

    servers: dict[str, str] = Field(default_factory=dict)  # MCP server (streamable HTTP) by task
    tokens: dict[str, SecretStr] = Field(default_factory=dict)  # bearer token by task
    # Indexes of documents: files, or addresses of OpenSearch Serverless, with commas between; default: a file under state_dir
    documents: str = Field(default="", alias="knowledge_index")
    documents_name: str = Field(default="knowledge", alias="knowledge_name")  # how their names in OpenSearch begin


class LocalSettings(SettingsGroup, alias_generator="local_{}".format):
    """Ports of the stand-ins that `omni up` starts in `local`."""

    aws_port: int = Field(default=4567, ge=1, le=65_535)  # of the local AWS
    bedrock_port: int = Field(default=4568, ge=1, le=65_535)  # of the bundled model
