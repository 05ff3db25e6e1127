"""Reads ``infra/schedule.yaml``: what runs when, how long it may take, how late it may start, and who gets the result."""

import re
from collections.abc import Collection
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from zoneinfo import ZoneInfo

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints, ValidationError, model_validator

from omni.delivery.destinations import AnyDestination
from omni.schedule.times import check_cron
from service.kit.frame.errors import ConfigurationError
from service.kit.frame.strict import MOST_YAML_BYTES, NotStrict, parse_yaml, read_strict

PLAN_FILE = Path("infra") / "schedule.yaml"
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
_LONGEST_RUN = timedelta(hours=24)


def _duration(text: object) -> object:
    found = re.fullmatch(r"([1-9]\d{0,4})([smhd])", text) if isinstance(text, str) else None
    if found is None:
        raise ValueError("write a number with its unit, as in 90s, 15m, 2h or 6d")
    return timedelta(**{_UNITS[found[2]]: int(found[1])})


Duration = Annotated[timedelta, BeforeValidator(_duration)]
JobId = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9-]{0,40}$")]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class DeliveryRule(_Part):
    """Which result is delivered, and the names of its destinations.

    ``report``: the report that the command prints with ``--json``; ``output``: whatever it prints; ``problems``: what it
    prints, only if it ends with another exit code than 0. A run that fails for good is told to the same destinations.
    """

    what: Literal["report", "output", "problems"]
    to: tuple[str, ...] = Field(min_length=1)


class ScheduledJob(_Part):
    """One job. ``cron`` has five fields and is read in ``zone``, an IANA name.

    ``timeout`` ends a run that hangs. ``catch_up`` is how late a run may still begin; of several missed times only the last is
    made up for. ``attempts`` counts the first one; a run is tried again only after exit codes that mean "could not run". A job
    does not begin while another scheduler runs one of ``after``, which stand before it in the file.
    """

    id: JobId
    what: str = Field(min_length=3, max_length=200)
    command: tuple[str, ...] = Field(min_length=1)
    cron: str
    zone: str
    timeout: Duration
    catch_up: Duration
    attempts: int = Field(default=1, ge=1, le=5)
    after: tuple[str, ...] = ()
    deliver: DeliveryRule | None = None

    @model_validator(mode="after")
    def _can_be_kept(self) -> Self:
        try:
            ZoneInfo(self.zone)
        except (LookupError, OSError, ValueError):
            raise ValueError(f"zone {self.zone!r} is no IANA time zone, such as Europe/Berlin") from None
        check_cron(self.cron)
        if self.timeout > _LONGEST_RUN:
            raise ValueError("timeout is at most 24h")
        if self.deliver is not None and self.deliver.what == "report" and "--json" not in self.command:
            raise ValueError("deliver a report needs a command with --json")
        return self


class SchedulePlan(_Part):
    """The whole file. ``zone`` holds for the jobs that name none."""

    zone: str = "UTC"
    destinations: dict[JobId, AnyDestination] = Field(default_factory=dict)
    jobs: tuple[ScheduledJob, ...] = Field(min_length=1)

    @model_validator(mode="before")
    @classmethod
    def _fill_zones(cls, raw: Any) -> Any:
        if not isinstance(raw, dict) or not isinstance(raw.get("jobs"), list):
            return raw
        zone = raw.get("zone", "UTC")
        return {**raw, "jobs": [{"zone": zone, **job} if isinstance(job, dict) else job for job in raw["jobs"]]}

    @model_validator(mode="after")
    def _names_are_known(self) -> Self:
        ids = [job.id for job in self.jobs]
        twice = next((name for name in ids if ids.count(name) > 1), None)
        if twice is not None:
            raise ValueError(f"two jobs have the id {twice!r}")
        for place, job in enumerate(self.jobs):
            late = next((name for name in job.after if name not in ids[:place]), None)
            if late is not None:
                raise ValueError(f"job {job.id!r} runs after {late!r}, which does not stand before it")
            for name in job.deliver.to if job.deliver else ():
                if name not in self.destinations:
                    known = ", ".join(sorted(self.destinations)) or "none"
                    raise ValueError(f"job {job.id!r} delivers to {name!r}; destinations are: {known}")
        return self

    def job(self, name: str) -> ScheduledJob:
        """Return the job ``name``; ``ConfigurationError`` if there is none; the message lists the ids."""
        for job in self.jobs:
            if job.id == name:
                return job
        raise ConfigurationError(f"there is no job {name!r}; choose from {', '.join(job.id for job in self.jobs)}")


def load_plan(path: Path, commands: Collection[str]) -> SchedulePlan:
    """Read the file.

    Args:
        path: the YAML file.
        commands: what a job's command may begin with.

    Raises:
        ConfigurationError: the file is missing, not YAML, or wrong; the message names job and field.
    """
    try:
        _, raw = parse_yaml(read_strict(path, MOST_YAML_BYTES))
        plan = SchedulePlan.model_validate(raw)
    except FileNotFoundError:
        raise ConfigurationError(f"there is no schedule {path}; see docs/guides/service-operator.md") from None
    except NotStrict as err:
        where = f"{path}:{err.line}" if err.line else str(path)
        raise ConfigurationError(f"{where}: {err}") from err
    except OSError as err:
        raise ConfigurationError(f"{path} cannot be read: {err.strerror}") from err
    except ValidationError as err:
        raise ConfigurationError(f"{path}: {_first_fault(err, raw)}") from err
    for job in plan.jobs:
        if job.command[0] not in commands:
            raise ConfigurationError(
                f"{path}: job {job.id!r}: {job.command[0]!r} is no command of omni that a schedule can run"
            )
    return plan


def _first_fault(err: ValidationError, raw: Any) -> str:
    """Return place and reason of the first fault; a job is named by its id."""
    first = err.errors(include_url=False)[0]
    place = [str(part) for part in first["loc"]]
    if len(place) > 1 and place[0] == "jobs":
        named = raw["jobs"][int(place[1])]
        name = named.get("id", place[1]) if isinstance(named, dict) else place[1]
        place[:2] = [f"job {name!r}"]
    said = str(first["msg"]).removeprefix("Value error, ")
    return f"{' '.join(place)}: {said}" if place else said
