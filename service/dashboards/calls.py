"""Figures of one tenant's scored calls, and the calls behind a figure.

The wall between tenants is ``of_tenant``: whatever a query reads, its rows of other tenants are left out around it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, Literal

from service.dashboards.definitions import EVERY, TENANT_COLUMN, Dashboard
from service.dashboards.errors import FormUnknown
from service.dashboards.figures import SMALL, Z95, FigureRow, rows_of
from service.dashboards.reader import check_range, day_of, range_of, records
from service.rollouts.live_counts import wilson
from service.warehouse.port import Warehouse

WEEKS_DAYS = 84  # twelve weeks: enough to see since when, and few enough to stand side by side
MOST_FAILURES = 200
SAMPLE = 20  # calls of a week: enough to see a false pass in eight with 93%, and about an hour of reading
_NO_GROUP, _NO_AGENT = "no group", "no agent"
_COVERAGE = """
SELECT tenant_id, form_id, MIN((call_date AT TIME ZONE 'UTC')::DATE) AS oldest,
  MAX((call_date AT TIME ZONE 'UTC')::DATE) AS newest, COUNT(*) AS calls,
  SUM(CASE WHEN model_used LIKE 'local.scorecard-keywords-%' THEN 1 ELSE 0 END) AS by_floor
FROM omni_calls GROUP BY tenant_id, form_id"""
_GROUPS = f"SELECT DISTINCT tenant_id, COALESCE(queue, '{_NO_GROUP}') AS agent_group FROM omni_calls"  # noqa: S608
_QUESTIONS = """
SELECT tenant_id, form_id, criterion_id, question, required FROM (
  SELECT tenant_id, form_id, criterion_id, question, required,
    ROW_NUMBER() OVER (PARTITION BY tenant_id, form_id, criterion_id ORDER BY form_version DESC, call_id) AS newest
  FROM omni_call_criteria
) AS versions WHERE newest = 1 AND form_id = :form"""
_FAILURES = f"""
SELECT tenant_id, call_id, call_date, COALESCE(agent_id, '{_NO_AGENT}') AS agent,
  COALESCE(queue, '{_NO_GROUP}') AS agent_group, state, verdict, human_verdict
FROM v_criteria
WHERE standing_verdict = 'no' AND form_id = :form AND criterion_id = :criterion
  AND call_date >= CAST(:from_day || ' 00:00:00+00' AS timestamptz)
  AND call_date < DATEADD(day, 1, CAST(:to_day || ' 00:00:00+00' AS timestamptz))
  AND (:agent_group = '*' OR COALESCE(queue, '{_NO_GROUP}') = :agent_group)
  AND (:agent = '*' OR COALESCE(agent_id, '{_NO_AGENT}') = :agent)"""  # noqa: S608 - both are constants of this module

_LISTED = f"""
SELECT c.tenant_id, c.call_id, c.call_date, COALESCE(c.agent_id, '{_NO_AGENT}') AS agent,
  COALESCE(c.queue, '{_NO_GROUP}') AS agent_group, c.state, c.passed, MD5(c.call_id || :from_day) AS lot,
  COUNT(k.human_verdict) AS checked
FROM omni_calls c LEFT JOIN v_criteria k ON k.tenant_id = c.tenant_id AND k.call_id = c.call_id
WHERE c.form_id = :form AND (:kind = 'sample' OR (:kind = 'passed' AND c.passed) OR c.state = :kind)
  AND c.call_date >= CAST(:from_day || ' 00:00:00+00' AS timestamptz)
  AND c.call_date < DATEADD(day, 1, CAST(:to_day || ' 00:00:00+00' AS timestamptz))
  AND (:agent_group = '*' OR COALESCE(c.queue, '{_NO_GROUP}') = :agent_group)
GROUP BY 1, 2, 3, 4, 5, 6, 7, 8"""  # noqa: S608 - both are constants of this module
ListKind = Literal["sample", "passed", "needs_review"]


@dataclass(frozen=True, slots=True, kw_only=True)
class CallsAsked:
    """A QA lead's request: None means the form with most calls, all agent groups, and twelve weeks up to the newest call."""

    form_id: str | None = None
    from_day: date | None = None
    to_day: date | None = None
    agent_group: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FailuresAsked:
    """Which failures of one criterion to list; None means every agent group and every agent."""

    form_id: str
    criterion: str
    from_day: date
    to_day: date
    agent_group: str | None = None
    agent: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ListAsked:
    """Which calls of a form to list; a sample is of the ISO week of ``to_day``, the same all week long."""

    kind: ListKind
    form_id: str
    from_day: date
    to_day: date
    agent_group: str | None = None

    @property
    def range(self) -> tuple[date, date]:
        """The first and the last day."""
        if self.kind != "sample":
            return self.from_day, self.to_day
        monday = self.to_day - timedelta(days=min(self.to_day.weekday(), (self.to_day - date.min).days))
        return monday, monday + timedelta(days=min(6, (date.max - monday).days))


@dataclass(frozen=True, slots=True, kw_only=True)
class CallCoverage:
    """What the warehouse holds of the tenant, whatever was asked: ``forms``, most calls first.

    Calls ``without_form`` had no usable answer; no model read those ``by_floor``.
    """

    oldest: date | None
    newest: date | None
    calls: int
    without_form: int
    by_floor: int
    forms: tuple[str, ...]
    groups: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class WordedCriterion:
    """A criterion of the form as its newest version words it."""

    id: str
    question: str
    required: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class CriterionChange:
    """A criterion whose newest week differs from the weeks before beyond chance: Wilson's 95% intervals do not overlap."""

    criterion: str
    week: str
    rate: float
    n: int
    before_rate: float
    before_n: int

    @property
    def worse(self) -> bool:
        """Whether more calls fail the criterion than before."""
        return self.rate > self.before_rate


@dataclass(frozen=True, slots=True, kw_only=True)
class CallFigures:
    """A tenant's figures of one form; ``read_at`` is the reader's clock, in seconds. Without calls there is no form."""

    dashboard: Dashboard
    form_id: str | None
    from_day: date | None
    to_day: date | None
    agent_group: str | None
    coverage: CallCoverage
    criteria: tuple[WordedCriterion, ...]
    rows: Mapping[str, Sequence[FigureRow]]
    changes: tuple[CriterionChange, ...]
    read_at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class FailedCall:
    """A call that fails a criterion: ``human_verdict`` is the newest by a person, None if nobody looked."""

    call_id: str
    call_date: datetime
    agent: str
    agent_group: str
    state: str
    verdict: str | None
    human_verdict: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedCall:
    """A call; ``passed`` is None without a score, ``checked`` counts the criteria with a person's verdict."""

    call_id: str
    call_date: datetime
    agent: str
    agent_group: str
    state: str
    passed: bool | None
    checked: int


def read_figures(
    warehouse: Warehouse, dashboard: Dashboard, tenant: str, asked: CallsAsked, *, read_at: float
) -> CallFigures:
    """Return the tenant's figures; errors in the range as in ``check_range``.

    Raises:
        FormUnknown: no call of this tenant was scored by the form.
    """
    check_range(asked.from_day, asked.to_day)
    coverage = _coverage(warehouse, tenant)
    if asked.form_id is not None and coverage.forms and asked.form_id not in coverage.forms:
        raise FormUnknown(f"no call was scored by form {asked.form_id!r}; choose from {', '.join(coverage.forms)}")
    form = asked.form_id or (coverage.forms[0] if coverage.forms else None)
    from_day, to_day = range_of(asked.from_day, asked.to_day, newest=coverage.newest, days=WEEKS_DAYS)
    rows: dict[str, Sequence[FigureRow]] = {visual.name: () for visual in dashboard.visuals}
    criteria: tuple[WordedCriterion, ...] = ()
    if form is not None and from_day is not None and to_day is not None:
        given = {
            "form": form,
            "from_day": from_day.isoformat(),
            "to_day": to_day.isoformat(),
            "agent_group": asked.agent_group or EVERY,
        }
        for visual in dashboard.visuals:
            chosen = {name: given[name] for name in visual.parameters}
            rows[visual.name] = rows_of(visual, of_tenant(warehouse, tenant, visual.sql, chosen, order=visual.order))
        criteria = tuple(
            WordedCriterion(id=str(row["criterion_id"]), question=str(row["question"]), required=bool(row["required"]))
            for row in of_tenant(warehouse, tenant, _QUESTIONS, {"form": form}, order="criterion_id")
        )
    return CallFigures(
        dashboard=dashboard,
        form_id=form,
        from_day=from_day,
        to_day=to_day,
        agent_group=asked.agent_group,
        coverage=coverage,
        criteria=criteria,
        rows=rows,
        changes=changes_of(rows.get("by_week", ())),
        read_at=read_at,
    )


def read_failures(warehouse: Warehouse, tenant: str, asked: FailuresAsked) -> tuple[FailedCall, ...]:
    """Return the tenant's calls that fail a criterion, newest first, at most ``MOST_FAILURES``; errors as in ``check_range``."""
    check_range(asked.from_day, asked.to_day)
    given = {
        "form": asked.form_id,
        "criterion": asked.criterion,
        "from_day": asked.from_day.isoformat(),
        "to_day": asked.to_day.isoformat(),
        "agent_group": asked.agent_group or EVERY,
        "agent": asked.agent or EVERY,
    }
    found = of_tenant(warehouse, tenant, _FAILURES, given, order=f"call_date DESC, call_id LIMIT {MOST_FAILURES}")
    return tuple(
        FailedCall(
            call_id=str(row["call_id"]),
            call_date=row["call_date"].to_pydatetime(),
            agent=str(row["agent"]),
            agent_group=str(row["agent_group"]),
            state=str(row["state"]),
            verdict=_text(row["verdict"]),
            human_verdict=_text(row["human_verdict"]),
        )
        for row in found
    )


def read_list(warehouse: Warehouse, tenant: str, asked: ListAsked) -> tuple[ListedCall, ...]:
    """Return the tenant's calls of a kind, newest first, at most ``MOST_FAILURES``; of a sample ``SAMPLE`` drawn at random."""
    check_range(asked.from_day, asked.to_day)
    first, last = asked.range
    given = {
        "kind": asked.kind,
        "form": asked.form_id,
        "from_day": first.isoformat(),
        "to_day": last.isoformat(),
        "agent_group": asked.agent_group or EVERY,
    }
    drawn = f"lot LIMIT {SAMPLE}" if asked.kind == "sample" else f"call_date DESC, call_id LIMIT {MOST_FAILURES}"
    found = [
        ListedCall(
            call_id=str(row["call_id"]),
            call_date=row["call_date"].to_pydatetime(),
            agent=str(row["agent"]),
            agent_group=str(row["agent_group"]),
            state=str(row["state"]),
            passed=None if row["passed"] not in (True, False) else bool(row["passed"]),
            checked=int(row["checked"]),
        )
        for row in of_tenant(warehouse, tenant, _LISTED, given, order=drawn)
    ]
    return tuple(sorted(found, key=lambda call: (call.call_date, call.call_id), reverse=True))


def of_tenant(
    warehouse: Warehouse, tenant: str, sql: str, parameters: Mapping[str, Any], *, order: str = ""
) -> list[dict[str, Any]]:
    """Return the tenant's rows of a query; one without the column ``tenant_id`` is refused by the warehouse.

    Raises:
        ValueError: the tenant is empty.
    """
    if not tenant:
        raise ValueError("a query about calls needs a tenant")
    # The query and the order are of this folder's files; the tenant is a parameter.
    chosen = f"SELECT * FROM ({sql}) AS everyone WHERE {TENANT_COLUMN} = :tenant" + (  # noqa: S608
        f" ORDER BY {order}" if order else ""
    )
    return records(warehouse, chosen, {**parameters, "tenant": tenant})


def changes_of(rows: Sequence[FigureRow]) -> tuple[CriterionChange, ...]:
    """Return the criteria whose newest week stands out from all weeks before, those that got worse first.

    Weeks of fewer than five calls, and fewer than ``SMALL`` calls before them, say nothing.
    """
    weeks = sorted({row.column for row in rows if row.column is not None})
    if len(weeks) < 2:
        return ()
    found = []
    for criterion in dict.fromkeys(row.key for row in rows if row.key is not None):
        own = {row.column: row.figures["fail_rate"] for row in rows if row.key == criterion}
        now = own.get(weeks[-1])
        before = [figure for week, figure in own.items() if week != weeks[-1]]
        before_n = sum(figure.n or 0 for figure in before)
        if now is None or now.value is None or (now.n or 0) < 5 or before_n < SMALL:
            continue
        failed = round(sum((figure.value or 0.0) * (figure.n or 0) for figure in before))
        low, high = wilson(failed, before_n, Z95)
        if now.low is None or now.high is None or (now.low <= high and low <= now.high):
            continue
        found.append(
            CriterionChange(
                criterion=criterion, week=weeks[-1], rate=now.value, n=now.n or 0, before_rate=failed / before_n,
                before_n=before_n,
            )
        )  # fmt: skip
    return tuple(sorted(found, key=lambda one: (not one.worse, -abs(one.rate - one.before_rate), one.criterion)))


def _coverage(warehouse: Warehouse, tenant: str) -> CallCoverage:
    found = of_tenant(warehouse, tenant, _COVERAGE, {}, order="calls DESC, form_id")
    groups = of_tenant(warehouse, tenant, _GROUPS, {}, order="agent_group")
    return CallCoverage(
        oldest=min((day_of(row["oldest"]) for row in found), default=None),
        newest=max((day_of(row["newest"]) for row in found), default=None),
        calls=sum(int(row["calls"]) for row in found),
        without_form=sum(int(row["calls"]) for row in found if _text(row["form_id"]) is None),
        by_floor=sum(int(row["by_floor"]) for row in found),
        forms=tuple(str(row["form_id"]) for row in found if _text(row["form_id"]) is not None),
        groups=tuple(str(row["agent_group"]) for row in groups),
    )


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None  # a frame has NaN or None where there is no text
