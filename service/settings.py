"""Settings: everything that differs between a laptop and AWS, read from ``OMNI_*`` variables when ``Settings()`` is built."""

from pathlib import Path
from typing import Literal

from pydantic import Field, SecretStr, ValidationInfo, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

REPO_ROOT = Path(__file__).resolve().parent.parent


class Settings(BaseSettings):
    """Validated settings; unknown ``OMNI_*`` names in an env file are errors, times are milliseconds or seconds as named."""

    model_config = SettingsConfigDict(env_prefix="OMNI_", extra="forbid", frozen=True)

    environment: Literal["local", "aws"] = "local"
    root: Path = REPO_ROOT
    state_dir: Path = REPO_ROOT / ".omni"

    # Models. With no endpoint in `local`, `make eval` and `make serve` start the bundled model themselves.
    bedrock_endpoint: str | None = None
    bedrock_stand_in: str | None = None  # what answers at `bedrock_endpoint` in place of Bedrock, for honest labels
    aws_region: str = "us-east-1"

    # Registry (MLflow): sqlite store or http server.
    registry_uri: str = f"sqlite:///{REPO_ROOT / 'mlflow' / 'store' / 'mlflow.db'}"
    registry_refresh_s: float = Field(default=5.0, gt=0)
    registry_timeout_s: int = Field(default=2, ge=1)

    # Signatures. The service needs `trusted_keys` only; the signing key is for whoever evaluates and promotes: one of the three.
    trusted_keys: Path | None = None  # PEM public keys, several while they rotate; default: beside the local key
    signing_key_file: Path | None = (
        None  # Ed25519 private key, PEM (PKCS#8), mode 0600; in local one is made on first use
    )
    signing_key: SecretStr | None = None  # the same as text, for a CI secret
    signing_kms_key: str | None = None  # id or ARN of an AWS KMS key of spec ECC_NIST_EDWARDS25519
    attestation_days: int = Field(default=30, ge=1, le=365)  # how long a passed gate allows a promotion
    ledger_dir: Path | None = None  # second copy of the releases; default: beside a sqlite store, else under state_dir

    # Data stores.
    aws_endpoint: str | None = None
    interactions_table: str = "ucdp-interactions"
    store_timeout_s: float = Field(default=2.0, gt=0)  # one call
    # The whole read of a history, with its waiting for a thread and its repeats. In a burst the wait is ours and not the
    # store's: an answer by the digest within the promised 5 s is worth more than a 503 after two.
    history_timeout_s: float = Field(default=4.5, gt=0)
    summaries_table: str = "SummaryCache"
    config_table: str = "cci-lite-config"  # tenants and their forms
    summary_days: int = Field(default=7, ge=1)  # how long a row lives
    archive_bucket: str = "omni-channel-insights"
    reuse_window_s: float = Field(default=300.0, ge=0)  # how long a summary may answer a transfer; 0 never
    spool_dir: Path | None = None  # records that the stores do not hold yet; default: under state_dir
    spool_max_mb: int = Field(default=256, ge=1)
    crowded_from_s: float = Field(
        default=0.15, ge=0
    )  # mean lateness of the event loop from which digests answer; 0 never
    writer_process: bool = False  # write answers to the stores from a process of their own; `serve` turns it on

    events_queue: str = "omni-channel-events"  # S3 announces new objects to it; `python -m service load` reads it

    # Calls: recordings and transcripts arrive under `<tenant>/calls/`, results are written under `<tenant>/`.
    calls_bucket: str = "cci-lite-input"
    results_bucket: str = "cci-lite-results"
    calls_queue: str = "cci-lite-analysis-queue"
    calls_table: str = "cci-lite-calls"  # what became of each call
    calls_kms_key: str | None = None  # id or ARN; results are encrypted with it, the tenant in the encryption context
    calls_topic: str | None = None  # ARN of the SNS topic that hears of failed transcription jobs
    transcriber: Literal["none", "whisper", "amazon"] | None = (
        None  # None: Amazon Transcribe in `aws`, Whisper where installed
    )
    transcribe_language: str = "en-US"
    transcribe_role: str | None = None  # ARN of the data-access role
    # None: Amazon Comprehend in `aws`, Presidio where the extra `redaction` is installed, else patterns alone.
    redactor: Literal["patterns", "presidio", "comprehend"] | None = None

    # Warehouse: an embedded DuckDB file, or Redshift's Data API once a workgroup or a cluster is named.
    report_zone: str = "UTC"  # whose weeks and days reports count: an IANA name
    warehouse_path: Path | None = None  # default: under state_dir
    warehouse_memory_mb: int = Field(default=2048, ge=256)
    warehouse_threads: int = Field(default=2, ge=1)
    warehouse_wait_s: float = Field(default=5.0, ge=0)  # how long opening waits for another process to let go
    redshift_workgroup: str | None = None  # Redshift Serverless
    redshift_cluster: str | None = None  # or a provisioned cluster
    redshift_database: str = "omni"
    redshift_secret_arn: str | None = None  # Secrets Manager; without it the caller's own IAM identity
    redshift_copy_role: str | None = (
        None  # ARN of the role that COPY reads the staging prefix with; default: the cluster's
    )
    redshift_staging_prefix: str = "omni-channel/warehouse-staging/"
    redshift_timeout_s: float = Field(default=300.0, gt=0)  # of one statement or batch

    # Public data that is used and not shipped (see datasets/summarize/README.md).
    public_data_dir: Path = REPO_ROOT.parent / "shared" / "data"

    # Access: a folder with `keys/*.pem` and `clients.json`; in `local` both are made on first use, below state_dir.
    access_dir: Path | None = None
    access_issuer: str = "omni-insights"
    access_audience: str = "omni-insights"
    max_body_bytes: int = Field(default=262_144, ge=1024)
    log_key: SecretStr | None = Field(default=None, min_length=32)  # keys the hashes that stand for accounts in the log

    host: str = "127.0.0.1"
    port: int = Field(default=8080, ge=0, le=65_535)
    required_tasks: tuple[str, ...] = ("summarize",)  # /readyz is 503 until each of them has a pair to serve
    clock_file: Path | None = None  # in `local`: the time to go by, for simulated weeks; see service/clock.py
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"

    # Telemetry. Spans go nowhere unless an OTLP/HTTP endpoint is set; figures go to CloudWatch as log lines in `aws`.
    otlp_endpoint: str | None = None  # base URL; /v1/traces is appended
    otlp_headers: SecretStr | None = (
        None  # name=value,name=value: a collector's key, or MLflow's x-mlflow-experiment-id
    )
    trace_share: float = Field(default=0.1, ge=0, le=1)  # of requests that no caller has decided about
    emf: bool | None = None  # None: in `aws` only

    # Stand-ins that `python -m service up` starts in `local`.
    local_aws_port: int = Field(default=4567, ge=1, le=65_535)
    local_bedrock_port: int = Field(default=4568, ge=1, le=65_535)

    @field_validator("clock_file")
    @classmethod
    def _real_time_in_aws(cls, file: Path | None, others: ValidationInfo) -> Path | None:
        if file is not None and others.data.get("environment") != "local":
            raise ValueError("a made-up time is for `local` alone; unset it")
        return file

    @property
    def prompts_dir(self) -> Path:
        """Folder that holds ``models.yaml`` and one folder of pairs per task."""
        return self.root / "prompts"

    @property
    def datasets_dir(self) -> Path:
        """Folder that holds one folder of case files per task."""
        return self.root / "datasets"

    @property
    def keys_dir(self) -> Path:
        """Folder of the local signing key and its public half."""
        return self.state_dir / "keys"

    @property
    def spool_folder(self) -> Path:
        """Folder of the records that wait for their stores."""
        return self.spool_dir or self.state_dir / "spool"

    @property
    def warehouse_file(self) -> Path:
        """The embedded warehouse."""
        return self.warehouse_path or self.state_dir / "warehouse" / "omni.duckdb"

    @property
    def trusted_keys_file(self) -> Path:
        """File with the public keys whose signatures count."""
        return self.trusted_keys or self.keys_dir / "trusted.pem"

    @property
    def access_folder(self) -> Path:
        """Folder of the token keys and the clients file."""
        return self.access_dir or self.state_dir / "access"


def stand_in_of(settings: Settings) -> str | None:
    """Return what answers in Bedrock's place, for honest labels; None: Bedrock itself."""
    if settings.bedrock_endpoint is None or settings.environment == "aws":
        return settings.bedrock_stand_in  # in `aws` an endpoint is a VPC endpoint: Bedrock itself
    return settings.bedrock_stand_in or "local-stand-in"
