"""The checklist before production: what commands can see is filled in, the rest says who must confirm it."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from service.kit.aws.clients import client
from service.kit.frame.errors import ConfigurationError
from service.kit.settings import Settings
from service.operate.doctor.checks import CheckedPart

ReadinessState = Literal["done", "not done", "unknown"]


class Confirmation(BaseModel):
    """Who says that an item is done, since when, and where the proof is."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    by: str
    on: str
    where: str


class ReadinessItem(BaseModel):
    """One line of ``infra/readiness.yaml``."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    item: str
    owner: str
    parts: tuple[str, ...] = ()
    see: Literal["runbooks", "alarms", "capacity"] | None = None
    confirmed: Confirmation | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadinessLine:
    """One item with its state and what the state is based on."""

    item: str
    owner: str
    state: ReadinessState
    seen: str


Seen = tuple[ReadinessState, str]


def read_items(file: Path) -> list[ReadinessItem]:
    """Return the checklist.

    Raises:
        ConfigurationError: it is missing or wrong.
    """
    try:
        return TypeAdapter(list[ReadinessItem]).validate_python(yaml.safe_load(file.read_text(encoding="utf-8")))
    except OSError:
        raise ConfigurationError(f"{file} does not exist: run this in a checkout of the project") from None
    except (ValidationError, yaml.YAMLError) as err:
        raise ConfigurationError(f"{file}: {str(err).splitlines()[0]}") from None


def check_readiness(settings: Settings, parts: Sequence[CheckedPart]) -> Iterator[ReadinessLine]:
    """Yield each item of the checklist with its state; ``parts`` are the doctor's checks."""
    looks: Mapping[str, Callable[[Settings], Seen]] = {
        "runbooks": _runbooks,
        "alarms": _alarms,
        "capacity": _capacity,
    }
    for item in read_items(settings.root / "infra" / "readiness.yaml"):
        if item.parts:
            state, seen = _of_parts(item.parts, parts)
        elif item.see is not None:
            state, seen = looks[item.see](settings)
        elif item.confirmed is not None:
            state, seen = "done", f"{item.confirmed.by}, {item.confirmed.on}: {item.confirmed.where}"
        else:
            state, seen = "unknown", "a person confirms it in infra/readiness.yaml"
        yield ReadinessLine(item=item.item, owner=item.owner, state=state, seen=seen)


def _of_parts(names: tuple[str, ...], parts: Sequence[CheckedPart]) -> Seen:
    asked = [part for part in parts if part.part.startswith(names)]
    if not asked:
        return "unknown", "the doctor could not ask"
    problems = [f"{part.part}: {part.problem}" for part in asked if part.problem]
    return ("not done", "; ".join(problems)) if problems else ("done", f"{len(asked)} checks passed")


def _alarm_names(settings: Settings) -> list[str]:
    file = settings.root / "infra" / "observability.yaml"
    return [alarm["name"] for alarm in yaml.safe_load(file.read_text(encoding="utf-8"))["alarms"]]


def _runbooks(settings: Settings) -> Seen:
    index = (settings.root / "docs" / "runbooks" / "README.md").read_text(encoding="utf-8")
    names = _alarm_names(settings)
    missing = [name for name in names if f"[{name}](" not in index and f"`{name}`" not in index]
    return (
        ("not done", f"not in docs/runbooks/README.md: {', '.join(missing)}")
        if missing
        else (
            "done",
            f"{len(names)} alarms in docs/runbooks/README.md",
        )
    )


def _alarms(settings: Settings) -> Seen:
    if settings.environment != "aws":
        return "unknown", "only CloudWatch tells somebody"
    pages = client("cloudwatch", settings).get_paginator("describe_alarms")
    found: list[dict[str, Any]] = [
        alarm for page in pages.paginate(AlarmNamePrefix=f"omni-{settings.stage}-") for alarm in page["MetricAlarms"]
    ]
    silent = [alarm["AlarmName"] for alarm in found if not alarm["AlarmActions"]]
    loud = [alarm["AlarmName"] for alarm in found if alarm["StateValue"] == "ALARM"]
    if not found or silent or loud:
        told = (
            ("none exists", not found),
            (f"tell nobody: {', '.join(silent)}", silent),
            (f"ring: {', '.join(loud)}", loud),
        )
        return "not done", "; ".join(text for text, said in told if said)
    return "done", f"{len(found)} alarms"


def _capacity(settings: Settings) -> Seen:
    """Compare with infra/capacity.yaml, which a test keeps equal to the model."""
    prod = yaml.safe_load((settings.root / "infra" / "cdk" / "environments.yaml").read_text(encoding="utf-8"))["prod"]
    file = settings.root / "infra" / "capacity.yaml"
    needed, least = yaml.safe_load(file.read_text(encoding="utf-8"))["tasks_needed"], int(prod["tasks"]["least"])
    enough = needed is not None and least >= needed
    asked = "more than any number of tasks tried" if needed is None else needed
    return ("done" if enough else "not done"), f"{least} tasks always run, docs/capacity.md asks for {asked}"
