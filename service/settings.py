"""Settings: everything that differs between a laptop and AWS, read from ``OMNI_*`` variables when ``Settings()`` is built."""

from pathlib import Path
from typing import Literal

from pydantic import Field
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

    # Data stores.
    aws_endpoint: str | None = None
    interactions_table: str = "ucdp-interactions"
    store_timeout_s: float = Field(default=2.0, gt=0)

    # Public data that is used and not shipped (see datasets/summarize/README.md).
    public_data_dir: Path = REPO_ROOT.parent / "shared" / "data"

    host: str = "127.0.0.1"
    port: int = Field(default=8080, ge=0, le=65_535)
    required_tasks: tuple[str, ...] = ("summarize",)  # /readyz is 503 until each of them has a pair to serve
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"

    # Stand-ins that `python -m service up` starts in `local`.
    local_aws_port: int = Field(default=4567, ge=1, le=65_535)
    local_bedrock_port: int = Field(default=4568, ge=1, le=65_535)

    @property
    def prompts_dir(self) -> Path:
        """Folder that holds ``models.yaml`` and one folder of pairs per task."""
        return self.root / "prompts"

    @property
    def datasets_dir(self) -> Path:
        """Folder that holds one folder of case files per task."""
        return self.root / "datasets"
