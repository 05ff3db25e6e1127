"""Settings: everything that differs between a laptop and AWS, read from ``OMNI_*`` variables when ``Settings()`` is built.

Each setting is read through its group (``settings.warehouse.threads``) and set under one flat name, the same everywhere:
``OMNI_WAREHOUSE_THREADS`` in the environment, ``Settings(warehouse_threads=1)`` and ``model_copy(update=...)`` in code.
pydantic-settings has names of nested variables only by one delimiter for all, and ours are older than the groups, whose
fields therefore hold the flat names as aliases.
"""

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic.fields import FieldInfo
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    SettingsError,
)

REPO_ROOT = Path(__file__).resolve().parent.parent


class SettingsGroup(BaseModel):
    """Settings of one purpose; times are milliseconds or seconds as named. ``alias_generator`` makes the flat names."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class AwsSettings(SettingsGroup, alias_generator="aws_{}".format):
    """The account that holds the data stores."""

    region: str = "us-east-1"
    endpoint: str | None = None  # a local AWS


class BedrockSettings(SettingsGroup, alias_generator="bedrock_{}".format):
    """The models. With no endpoint in `local`, `omni eval` and `omni serve` start the bundled model themselves."""

    endpoint: str | None = None
    stand_in: str | None = None  # what answers at `endpoint` in place of Bedrock, for honest labels


class RegistrySettings(SettingsGroup, alias_generator="registry_{}".format):
    """The registry (MLflow): an sqlite store or an HTTP server."""

    uri: str = f"sqlite:///{REPO_ROOT / 'mlflow' / 'store' / 'mlflow.db'}"
    refresh_s: float = Field(default=5.0, gt=0)
    timeout_s: int = Field(default=2, ge=1)


class ReleaseSettings(SettingsGroup):
    """Signed releases. The service needs `trusted_keys` only; one of the signing keys is for whoever evaluates and promotes."""

    trusted_keys: Path | None = None  # PEM public keys, several while they rotate; default: beside the local key
    # Ed25519 private key, PEM (PKCS#8), mode 0600; in `local` one is made on first use
    signing_key_file: Path | None = None
    signing_key: SecretStr | None = None  # the same as text, for a CI secret
    signing_kms_key: str | None = None  # id or ARN of an AWS KMS key of spec ECC_NIST_EDWARDS25519
    attestation_days: int = Field(default=30, ge=1, le=365)  # how long a passed gate allows a promotion
    ledger_dir: Path | None = None  # second copy of the releases; default: beside a sqlite store, else under state_dir


class StoreSettings(SettingsGroup):
    """The data stores that several features share."""

    interactions_table: str = "ucdp-interactions"
    config_table: str = "cci-lite-config"  # tenants and their forms
    archive_bucket: str = "omni-channel-insights"
    events_queue: str = "omni-channel-events"  # S3 announces new objects to it; `omni load-events` reads it
    timeout_s: float = Field(default=2.0, gt=0, alias="store_timeout_s")  # one access
    # The whole read of a history, with its waiting for a thread and its repeats. In a burst the wait is ours and not the
    # store's: an answer by the digest within the promised 5 s is worth more than a 503 after two.
    history_timeout_s: float = Field(default=4.5, gt=0)


class SummarySettings(SettingsGroup):
    """Kept summaries: their table, their reuse and their spool."""

    table: str = Field(default="SummaryCache", alias="summaries_table")
    days: int = Field(default=7, ge=1, alias="summary_days")  # how long a row lives
    reuse_window_s: float = Field(default=300.0, ge=0)  # how long a summary may answer a transfer; 0 never
    spool_dir: Path | None = None  # records that the stores do not hold yet; default: under state_dir
    spool_max_mb: int = Field(default=256, ge=1)
    writer_process: bool = False  # write answers to the stores from a process of their own; `serve` turns it on


class CallSettings(SettingsGroup, alias_generator="calls_{}".format):
    """Calls: recordings and transcripts arrive under `<tenant>/calls/`, results are written under `<tenant>/`."""

    bucket: str = "cci-lite-input"
    results_bucket: str = Field(default="cci-lite-results", alias="results_bucket")
    queue: str = "cci-lite-analysis-queue"
    table: str = "cci-lite-calls"  # what became of each call
    kms_key: str | None = None  # id or ARN; results are encrypted with it, the tenant in the encryption context
    topic: str | None = None  # ARN of the SNS topic that hears of failed transcription jobs
    # None: Amazon Transcribe in `aws`, Whisper where installed
    transcriber: Literal["none", "whisper", "amazon"] | None = Field(default=None, alias="transcriber")
    transcribe_language: str = Field(default="en-US", alias="transcribe_language")
    transcribe_role: str | None = Field(default=None, alias="transcribe_role")  # ARN of the data-access role
    # None: Amazon Comprehend in `aws`, Presidio where the extra `redaction` is installed, else patterns alone.
    redactor: Literal["patterns", "presidio", "comprehend"] | None = Field(default=None, alias="redactor")


class WarehouseSettings(SettingsGroup, alias_generator="warehouse_{}".format):
    """The embedded warehouse, a DuckDB file, and how reports count in either warehouse."""

    path: Path | None = None  # default: under state_dir
    memory_mb: int = Field(default=2048, ge=256)
    threads: int = Field(default=2, ge=1)
    wait_s: float = Field(default=5.0, ge=0)  # how long opening waits for another process to let go
    report_zone: str = Field(default="UTC", alias="report_zone")  # whose weeks and days reports count: an IANA name


class RedshiftSettings(SettingsGroup, alias_generator="redshift_{}".format):
    """Redshift's Data API, the warehouse once a workgroup or a cluster is named."""

    workgroup: str | None = None  # Redshift Serverless
    cluster: str | None = None  # or a provisioned cluster
    database: str = "omni"
    secret_arn: str | None = None  # Secrets Manager; without it the caller's own IAM identity
    copy_role: str | None = None  # ARN of the role that COPY reads the staging prefix with; default: the cluster's
    staging_prefix: str = "omni-channel/warehouse-staging/"
    timeout_s: float = Field(default=300.0, gt=0)  # of one statement or batch


class AccessSettings(SettingsGroup, alias_generator="access_{}".format):
    """Who may call: a folder with `keys/*.pem` and `clients.json`; in `local` both are made on first use, below state_dir."""

    dir: Path | None = None
    issuer: str = "omni-insights"
    audience: str = "omni-insights"


class ServingSettings(SettingsGroup):
    """The HTTP service."""

    host: str = "127.0.0.1"
    port: int = Field(default=8080, ge=0, le=65_535)
    required_tasks: tuple[str, ...] = ("summarize",)  # /readyz is 503 until each of them has a pair to serve
    max_body_bytes: int = Field(default=262_144, ge=1024)
    crowded_from_s: float = Field(
        default=0.15, ge=0
    )  # mean lateness of the event loop from which digests answer; 0 never


class TelemetrySettings(SettingsGroup):
    """Spans go nowhere unless an OTLP/HTTP endpoint is set; figures go to CloudWatch as log lines in `aws`."""

    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    log_key: SecretStr | None = Field(default=None, min_length=32)  # keys the hashes that stand for accounts in the log
    otlp_endpoint: str | None = None  # base URL; /v1/traces is appended
    otlp_headers: SecretStr | None = (
        None  # name=value,name=value: a collector's key, or MLflow's x-mlflow-experiment-id
    )
    trace_share: float = Field(default=0.1, ge=0, le=1)  # of requests that no caller has decided about
    emf: bool | None = None  # None: in `aws` only


class LocalSettings(SettingsGroup, alias_generator="local_{}".format):
    """Stand-ins that `omni up` starts in `local`."""

    aws_port: int = Field(default=4567, ge=1, le=65_535)
    bedrock_port: int = Field(default=4568, ge=1, le=65_535)


class Settings(BaseSettings):
    """Validated settings. Keywords are the flat names; an unknown one is an error."""

    model_config = SettingsConfigDict(env_prefix="OMNI_", extra="forbid", frozen=True)

    environment: Literal["local", "aws"] = "local"
    root: Path = REPO_ROOT
    state_dir: Path = REPO_ROOT / ".omni"
    # Public data that is used and not shipped (see datasets/summarize/README.md).
    public_data_dir: Path = REPO_ROOT.parent / "shared" / "data"
    clock_file: Path | None = None  # in `local`: the time to go by, for simulated weeks; see service/clock.py

    aws: AwsSettings = AwsSettings()
    bedrock: BedrockSettings = BedrockSettings()
    registry: RegistrySettings = RegistrySettings()
    release: ReleaseSettings = ReleaseSettings()
    stores: StoreSettings = StoreSettings()
    summaries: SummarySettings = SummarySettings()
    calls: CallSettings = CallSettings()
    warehouse: WarehouseSettings = WarehouseSettings()
    redshift: RedshiftSettings = RedshiftSettings()
    access: AccessSettings = AccessSettings()
    serving: ServingSettings = ServingSettings()
    telemetry: TelemetrySettings = TelemetrySettings()
    local: LocalSettings = LocalSettings()

    def __init__(self, **flat: Any) -> None:
        super().__init__(**flat)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Read keywords first, then the variables; there are no files of settings."""
        return init_settings, _Variables(settings_cls)

    @model_validator(mode="before")
    @classmethod
    def _into_groups(cls, flat: dict[str, Any]) -> dict[str, Any]:
        grouped: dict[str, Any] = {}
        for name, value in flat.items():
            group, _, _ = setting_places().get(name, (None, name, None))
            if group is None:
                grouped[name] = value
            else:
                grouped.setdefault(group, {})[name] = value
        return grouped

    @field_validator("clock_file")
    @classmethod
    def _real_time_in_aws(cls, file: Path | None, others: ValidationInfo) -> Path | None:
        if file is not None and others.data.get("environment") != "local":
            raise ValueError("a made-up time is for `local` alone; unset it")
        return file

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        """Return a copy with ``update``, settings by their flat names, which are not validated.

        Raises:
            KeyError: there is no such setting.
        """
        top: dict[str, Any] = {}
        groups: dict[str, dict[str, Any]] = {}
        for name, value in (update or {}).items():
            group, field, _ = setting_places()[name]
            if group is None:
                top[field] = value
            else:
                groups.setdefault(group, {})[field] = value
        changed = {group: getattr(self, group).model_copy(update=fields) for group, fields in groups.items()}
        return super().model_copy(update=top | changed, deep=deep)

    def flat(self, *, defaults: bool = True) -> dict[str, Any]:
        """Return the settings under their flat names, ready for JSON, without secrets and without those that are None.

        ``defaults`` False leaves out what equals its default, which a path on another machine need not do.
        """
        given = self.model_dump(mode="json", by_alias=True, exclude_none=True, exclude_defaults=not defaults)
        found = {name: value for name, value in given.items() if name in setting_places()}
        for group in type(self).model_fields.keys() - setting_places().keys():
            found |= given.get(group, {})
        return {name: value for name, value in found.items() if not _is_secret(setting_places()[name][2])}

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
        return self.summaries.spool_dir or self.state_dir / "spool"

    @property
    def warehouse_file(self) -> Path:
        """The embedded warehouse."""
        return self.warehouse.path or self.state_dir / "warehouse" / "omni.duckdb"

    @property
    def trusted_keys_file(self) -> Path:
        """File with the public keys whose signatures count."""
        return self.release.trusted_keys or self.keys_dir / "trusted.pem"

    @property
    def access_folder(self) -> Path:
        """Folder of the token keys and the clients file."""
        return self.access.dir or self.state_dir / "access"


@cache
def setting_places() -> Mapping[str, tuple[str | None, str, FieldInfo]]:
    """Return each setting's group (None: it stands alone), field name and field, by its flat name."""
    places: dict[str, tuple[str | None, str, FieldInfo]] = {}
    for name, field in Settings.model_fields.items():
        if isinstance(field.default, SettingsGroup):
            for inner, setting in type(field.default).model_fields.items():
                places[setting.alias or inner] = (name, inner, setting)
        else:
            places[name] = (None, name, field)
    return places


class _Variables(EnvSettingsSource):
    """Reads one variable for each setting; a group has none of its own."""

    def __call__(self) -> dict[str, Any]:
        found = {}
        for name, (_, _, field) in setting_places().items():
            text = self.env_vars.get(f"{self.env_prefix}{name}".lower())
            try:
                value = self.prepare_field_value(name, field, text, False)
            except ValueError as err:
                raise SettingsError(f"{self.env_prefix}{name.upper()} is not JSON: {text!r}") from err
            if value is not None:
                found[name] = value
        return found


def _is_secret(field: FieldInfo) -> bool:
    return "SecretStr" in str(field.annotation)


def wrong_settings(err: ValidationError) -> str:
    """Return one line that names each wrong variable and says what is wrong with it."""
    return "; ".join(f"{_variable(problem['loc'])}: {problem['msg']}" for problem in err.errors())


def _variable(place: tuple[int | str, ...]) -> str:
    inside = place[1:] if len(place) > 1 and place[0] not in setting_places() else place  # past the group's name
    return f"OMNI_{'_'.join(str(part) for part in inside).upper()}"


def stand_in_of(settings: Settings) -> str | None:
    """Return what answers in Bedrock's place, for honest labels; None: Bedrock itself."""
    if settings.bedrock.endpoint is None or settings.environment == "aws":
        return settings.bedrock.stand_in  # in `aws` an endpoint is a VPC endpoint: Bedrock itself
    return settings.bedrock.stand_in or "local-stand-in"
