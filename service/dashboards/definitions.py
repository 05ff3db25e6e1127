"""Reads the dashboards' definitions: this folder's YAML files hold the SQL, unit, interval and target of every figure."""

import re
from collections.abc import Mapping
from functools import cache, lru_cache
from pathlib import Path
from typing import Annotated, Literal, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError, model_validator

from service.kit.frame.errors import ConfigurationError
from service.warehouse.outputs import worded

FOLDER = Path(__file__).parent
NAMES = ("effectiveness", "performance", "cost", "assistant")  # the order of R-DASHBOARDS, and conversations
CALLS = "calls"  # the dashboard of tenants' scored calls; it is no operator's, and each row belongs to a tenant
TENANT_COLUMN = "tenant_id"
DEFAULT_TASK = "summarize"  # the parameter :task of an exported dashboard, and the wording of an empty one
ALL_PAIRS = "*"  # the parameter :pair if no pair is chosen; it is not a valid name of a pair
EVERY = "*"  # the parameters :form and :agent_group if none is chosen
_PLACEHOLDER = re.compile(r"\{\{(\w+)\}\}")
_PARAMETER = re.compile(r"(?<!:):([a-z_]+)\b")
_Name = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,39}$")]

MeasureUnit = Literal["rate", "ms", "usd", "count", "ratio"]
ChartKind = Literal["numbers", "line", "columns", "bars", "heatmap"]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Target(_Strict):
    """A required value: a figure meets it if it is on the ``better`` side of ``at``."""

    at: float
    better: Literal["below", "above"]
    label: str


class Measure(_Strict):
    """One figure of each row: a column of the query, or the share ``of`` two counts with Wilson's interval.

    For a column, ``low``, ``high`` and ``n`` name the columns with the ends of its 95% interval and its count of cases.
    """

    name: _Name
    label: str
    unit: MeasureUnit
    of: tuple[str, str] | None = None
    column: str | None = None
    low: str | None = None
    high: str | None = None
    n: str | None = None
    target: Target | None = None
    tasks: tuple[str, ...] = ()  # shown for these alone; empty: for all

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if (self.of is None) == (self.column is None):
            raise ValueError("a measure has either `of` or `column`")
        if self.of is not None and (self.unit not in ("rate", "ratio") or self.low or self.high or self.n):
            raise ValueError("a share's unit is rate or ratio, and its interval is computed")
        return self

    @property
    def columns(self) -> tuple[str, ...]:
        """The query's columns that this measure reads."""
        return tuple(name for name in (*(self.of or ()), self.column, self.low, self.high, self.n) if name is not None)


class Visual(_Strict):
    """One chart or row of numbers, and the question that it answers. ``by`` is the query's first column."""

    name: _Name
    title: str
    question: str
    kind: ChartKind
    by: str | None = None
    by_label: str = ""
    across_by: str | None = None  # of a heatmap: the query's column whose values stand side by side
    across_label: str = ""
    of_tenants: bool = False  # each row has the column tenant_id, and is shown to its tenant alone
    order: str = ""  # of a tenant's rows, which are chosen around the query
    scale: Literal["linear", "log"] = "linear"
    restarts: Literal["month"] | None = None  # where a running total starts again from zero and its line is interrupted
    sql: str
    measures: tuple[Measure, ...] = Field(min_length=1)
    tasks: tuple[str, ...] = ()  # shown for these alone; empty: for all
    across: Literal["tasks"] | None = None  # compares all tasks; shown where there are several

    @model_validator(mode="after")
    def _by_fits(self) -> Self:
        if (self.by is None) != (self.kind == "numbers"):
            raise ValueError("`by` is required for every kind except `numbers`, which must not have it")
        if (self.across_by is None) != (self.kind != "heatmap"):
            raise ValueError("`across_by` is required for a heatmap, which alone has it")
        if len({measure.name for measure in self.measures}) < len(self.measures):
            raise ValueError("two measures share a name")
        return self

    @property
    def parameters(self) -> tuple[str, ...]:
        """The parameters of the query; one that compares all tasks has no ``task`` and no ``pair``."""
        return tuple(dict.fromkeys(_PARAMETER.findall(self.sql)))

    @property
    def columns(self) -> tuple[str, ...]:
        """All columns of the query, in order of first use."""
        named = [*([TENANT_COLUMN] if self.of_tenants else []), *(name for name in (self.by, self.across_by) if name)]
        return tuple(dict.fromkeys([*named, *(column for measure in self.measures for column in measure.columns)]))


class Dashboard(_Strict):
    """One dashboard."""

    name: _Name
    title: str
    question: str
    visuals: tuple[Visual, ...] = Field(min_length=1)

    def of(self, task: str, *, several: bool = False) -> "Dashboard":
        """Return what is shown of ``task``, worded for its outputs; ``several``: the warehouse holds more tasks than this."""
        return _of_task(self, task, several)


@lru_cache(maxsize=64)
def _of_task(dashboard: Dashboard, task: str, several: bool) -> Dashboard:
    return dashboard.model_copy(
        update=_worded(task, dashboard)
        | {
            "visuals": tuple(
                _visual_of(visual, task)
                for visual in dashboard.visuals
                if _concerns(visual, task) and (several or visual.across is None)
            ),
        }
    )


def _worded(task: str, item: Dashboard | Visual) -> dict[str, str]:
    return {"title": worded(task, item.title), "question": worded(task, item.question)}


def _visual_of(visual: Visual, task: str) -> Visual:
    measures = [measure for measure in visual.measures if _concerns(measure, task)]
    return visual.model_copy(
        update=_worded(task, visual)
        | {"measures": tuple(item.model_copy(update={"label": worded(task, item.label)}) for item in measures)}
    )


def _concerns(item: Visual | Measure, task: str) -> bool:
    return not item.tasks or task in item.tasks


@cache
def load_dashboards() -> Mapping[str, Dashboard]:
    """Return the dashboards by name, in the order of ``NAMES``.

    Raises:
        ConfigurationError: a definition is wrong; the message names file and field.
    """
    return {name: read_dashboard((FOLDER / f"{name}.yaml").read_text(encoding="utf-8"), name) for name in NAMES}


@cache
def load_calls_dashboard() -> Dashboard:
    """Return the dashboard of tenants' scored calls; errors as in ``load_dashboards``."""
    return read_dashboard((FOLDER / f"{CALLS}.yaml").read_text(encoding="utf-8"), CALLS)


def read_dashboard(text: str, name: str) -> Dashboard:
    """Return the dashboard that ``text`` defines; ``{{fragment}}`` in SQL is replaced by the fragment of that name."""
    content = yaml.safe_load(text)
    fragments = content.pop("fragments", {})
    of_tenants = content.pop("of_tenants", False)
    for visual in content["visuals"]:
        visual["of_tenants"] = of_tenants
        visual["sql"] = _filled(visual["sql"], fragments, name).strip()
    try:
        dashboard = Dashboard.model_validate(content)
    except ValidationError as err:
        wrong = "; ".join(".".join(map(str, item["loc"])) + f": {item['msg']}" for item in err.errors())
        raise ConfigurationError(f"dashboard {name!r} is wrong: {wrong}") from err
    if dashboard.name != name:
        raise ConfigurationError(f"dashboard {name!r} has the name {dashboard.name!r}: use the same name as the file")
    return dashboard


def _filled(sql: str, fragments: Mapping[str, str], name: str) -> str:
    for _ in range(4):  # fragments may hold fragments, a few deep
        missing = [found for found in _PLACEHOLDER.findall(sql) if found not in fragments]
        if missing:
            raise ConfigurationError(f"dashboard {name!r}: there is no fragment {missing[0]!r}")
        sql = _PLACEHOLDER.sub(lambda found: fragments[found[1]].strip(), sql)
    if _PLACEHOLDER.search(sql):
        raise ConfigurationError(f"dashboard {name!r}: its fragments are nested too deeply or contain each other")
    return sql
