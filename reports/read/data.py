"""Reads one week and its history from the warehouse as counts by week, pair and slice."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pandas as pd

from reports.read import queries
from reports.read.features import FeatureFrames, kept_features
from reports.read.metrics import SMALLEST
from reports.read.stops import RolloutStop
from reports.read.weeks import Week

if TYPE_CHECKING:
    from service.warehouse.port import Warehouse

MOST_WORDS = 2_500  # largest number of a week's newest unhelpful or edited answers whose texts are clustered
_NAME = re.compile(r"(?<!:):([a-z_]+)\b")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class WeekData:
    """Everything read for one week.

    In the frames, ``period`` is 0 for the report's week and negative for the weeks before; ``day`` counts local days from the
    week's Monday. ``now`` is the time of reading: rows with a later timestamp are not counted. ``tasks`` holds the number of the
    week's answers by task, most first, ``reasons`` that of its answers by the reason that their feedback gave. ``stops`` are the
    rollouts that stopped by themselves in the week.
    """

    task: str
    week: Week
    now: datetime
    cube: pd.DataFrame
    daily: pd.DataFrame
    daily_latency: pd.DataFrame
    latencies: pd.DataFrame
    slice_latencies: Mapping[str, pd.DataFrame]
    numbers: Mapping[str, pd.DataFrame]
    features: FeatureFrames
    pairs: pd.DataFrame
    releases: pd.DataFrame
    promises: pd.DataFrame
    words: pd.DataFrame
    slice_days: Mapping[str, pd.DataFrame]
    latency_days: Mapping[str, pd.DataFrame]
    oddities: Mapping[str, int]
    agreement: pd.DataFrame
    calls: pd.DataFrame
    call_scores: pd.DataFrame
    criterion_scores: pd.DataFrame
    call_sentiments: pd.DataFrame
    tasks: Mapping[str, int]
    reasons: Mapping[str, int]
    stops: Sequence[RolloutStop] = ()

    @property
    def answers(self) -> int:
        """The number of answers in the week."""
        return int(self.cube.loc[self.cube["period"] == 0, "answers"].sum())

    @property
    def tested_tasks(self) -> int:
        """How many tasks have enough answers in the week for any comparison, at least 1: they share the false alarms allowed."""
        return max(sum(count >= SMALLEST for count in self.tasks.values()), 1)


def read_week(
    warehouse: "Warehouse",
    week: Week,
    task: str,
    now: datetime,
    *,
    with_calls: bool = True,
    stops: Sequence[RolloutStop] = (),
) -> WeekData:
    """Read ``week`` and up to twelve weeks before it, not later than ``now``; ``stops`` are all of the task's rollouts."""
    until = min(week.end, now.astimezone(UTC))
    long_ago, before, last = (
        week.shifted(-weeks).start for weeks in (queries.HISTORY_WEEKS, queries.BASELINE_WEEKS, 1)
    )
    of_calls = last if with_calls else until
    base: dict[str, Any] = {"task": task, "now": now.astimezone(UTC), "most": MOST_WORDS}

    def ask(sql: str, since: datetime, to: datetime = until) -> pd.DataFrame:
        given = base | {"since": since, "until": to}
        frame = warehouse.query(sql, {name: given[name] for name in _NAME.findall(sql)})
        for name in frame.columns:
            if name in _INTEGERS:
                frame[name] = pd.to_numeric(frame[name]).fillna(0).astype("int64")
            elif name in _FLOATS:
                frame[name] = pd.to_numeric(frame[name]).astype("float64")
        return frame

    daily_latency = [ask(queries.daily_latency(week, by_pair=by_pair), long_ago) for by_pair in (True, False)]
    return WeekData(
        task=task,
        week=week,
        now=now,
        cube=ask(queries.cube(week), before),
        daily=ask(queries.daily(week), long_ago),
        daily_latency=pd.concat(daily_latency, ignore_index=True),
        latencies=ask(queries.latencies(week), before),
        slice_latencies={name: ask(queries.slice_latencies(week, name), before) for name in queries.DIMENSIONS},
        numbers={name: ask(queries.numbers(week, name), last) for name in queries.NUMBERS}
        | {"hour": ask(queries.hours(week), last)},
        features=kept_features(ask(queries.kept_inputs(week), last)),
        pairs=ask(queries.PAIRS, long_ago),
        releases=ask(queries.RELEASES, long_ago),
        promises=ask(queries.PROMISES, long_ago),
        words=pd.concat(
            [ask(queries.words_of(week), week.start), ask(queries.words_of(week), last, week.start)], ignore_index=True
        ),
        slice_days={name: ask(queries.slice_days(week, name), long_ago) for name in queries.DIMENSIONS},
        latency_days={name: ask(queries.latency_days(week, name), before) for name in queries.DIMENSIONS},
        oddities=_oddities(ask, week),
        agreement=ask(queries.agreement(week), of_calls),
        calls=ask(queries.calls(week), of_calls),
        call_scores=ask(queries.call_scores(week), of_calls),
        criterion_scores=ask(queries.criterion_scores(week), of_calls),
        call_sentiments=ask(queries.call_sentiments(week), of_calls),
        tasks=answered_tasks(warehouse, week, now),
        stops=[stop for stop in stops if stop.at is not None and week.start <= stop.at < until],
        reasons={str(row["reason"]): int(row["n"]) for row in ask(queries.REASONS, week.start).to_dict("records")},
    )


def _oddities(ask: Callable[[str, datetime], pd.DataFrame], week: Week) -> dict[str, int]:
    odd = ask(queries.ODDITIES, week.start).fillna(0).iloc[0]
    counts = {str(name): int(value) for name, value in odd.items()}
    for name, sql in (("future", queries.FUTURE), ("without_summary", queries.ORPHANS)):
        counts[name] = int(ask(sql, week.start)["n"].iloc[0])
    return counts


def answered_tasks(warehouse: "Warehouse", week: Week, now: datetime) -> dict[str, int]:
    """Return the number of the week's answers by task, most first; tasks without answers are left out."""
    bounds = {"since": week.start, "until": min(week.end, now.astimezone(UTC))}
    frame = warehouse.query(queries.TASKS, bounds)
    return {str(row["task"]): int(row["n"]) for row in frame.to_dict("records")}


def known_tasks(warehouse: "Warehouse") -> list[str]:
    """Return the tasks with answers of any week, sorted."""
    return [str(name) for name in warehouse.query(queries.KNOWN_TASKS, {})["task"]]


_CALL_COUNTS = ("calls", "decided", "passed", "scored", "met", "applied", "form_version")
_INTEGERS = {*queries.COUNT_COLUMNS, *_CALL_COUNTS, "period", "day", "n", "step", "primary_n", "sequence"}
_FLOATS = {*queries.SUM_COLUMNS, "value", "low", "high", "p50", "p95", "points", "points_squares"}
