"""Reads what differs between dev, test and prod."""

from pathlib import Path
from typing import Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

EnvironmentName = Literal["dev", "test", "prod"]
_FILE = Path(__file__).with_name("environments.yaml")


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class TaskSize(_Part):
    """Size and number of the service's tasks; ``requests_in_flight`` is what one task is meant to answer at a time."""

    cpu: int
    memory_mb: int
    least: int = Field(ge=1)
    most: int = Field(ge=1)
    requests_in_flight: int = Field(ge=1)


class RegistrySize(_Part):
    """The registry's database."""

    instance: str = Field(alias="class")
    storage_gb: int = Field(ge=20)
    multi_az: bool
    backup_days: int = Field(ge=1, le=35)


class ApiLimits(_Part):
    """What the usage plan lets one client do."""

    rate_per_s: int = Field(ge=1)
    burst: int = Field(ge=1)
    quota_per_day: int = Field(ge=1)


class Retention(_Part):
    """How long logs and objects are kept, in days."""

    logs_days: int
    calls_days: int
    results_days: int
    shadow_days: int
    staging_days: int
    contact_days: int
    glacier_after_days: int
    archive_days: int


class MonthlyBudget(_Part):
    """USD a month from which people are told: of all that the account costs, and of what carries the environment's tag."""

    account: int = Field(ge=1)
    tagged: int = Field(ge=1)


class OwnDomain(_Part):
    """A name of ours for the API. Its zone in Route 53 holds the record, and the proof for the certificate."""

    name: str = Field(pattern=r"^[a-z0-9-]+(\.[a-z0-9-]+)+$")
    zone: str = Field(pattern=r"^[a-z0-9-]+(\.[a-z0-9-]+)+$")
    zone_id: str = Field(pattern="^Z[A-Z0-9]+$")


class Environment(_Part):
    """One account's context."""

    stage: EnvironmentName
    keep_data: bool
    bucket_suffix: str
    tasks: TaskSize
    zones: int = Field(ge=2)
    nat_gateways: int = Field(ge=1)
    private_endpoints: bool
    warehouse_rpus: int = Field(ge=4)
    registry: RegistrySize
    api: ApiLimits
    domain: OwnDomain | None  # None: the gateway's own address
    retention: Retention
    alarms: bool
    monthly_budget_usd: MonthlyBudget


def read_environments() -> dict[EnvironmentName, Environment]:
    """Return the context of each environment.

    Raises:
        pydantic.ValidationError: the file has an unknown, missing or impossible field.
    """
    found = yaml.safe_load(_FILE.read_text(encoding="utf-8"))
    return TypeAdapter(dict[EnvironmentName, Environment]).validate_python(found)
