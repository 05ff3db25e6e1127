"""Measures the report's false alarms and its power to find a slice that got worse (results in docs/decisions/0020)."""

import os
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import numpy as np

from figures.stats import rate_interval
from reports.compare.difference import contrast
from reports.compare.false_discovery import FALSE_SHARE, Tested, judge_families
from reports.compare.outcomes import ComparisonResult
from reports.compare.weekly import WeeklyReport, make_report
from reports.read.data import read_week
from reports.read.metrics import HELPFUL, SLICED, WeeklyMetric
from reports.read.samples import Rate
from reports.read.weeks import Week
from reports.simulate.synthetic import Planted, Scenario, rows
from service.warehouse.duck import DuckWarehouse
from service.warehouse.events import EVENTS

WEEK = Week.parse("2026-W46")
ANSWERS = 60_000  # over six weeks, a fifth of them rated: about 320 ratings a week of the planted intent
SLICES, BASELINES, HISTORY = 21, 2, 4
RATED = (25, 50, 75, 100, 150, 200, 400)  # ratings of the planted slice this week
TASKS, ANSWERS_OF_TASK = (1, 3), 12_000  # tasks on a page, and answers of each over six weeks
PLANTED = Planted(dimension="intent", value="outage", level=0.65)


def simulate(*, seeds: int, draws: int) -> Iterator[str]:
    """Yield lines of text: false alarms of reports on one task and on several, how often a planted slice is found, power."""
    # As in the report itself: a k-means step over a few hundred texts takes less time than waking up a second thread.
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    yield f"{seeds} whole reports on weeks without any change ({ANSWERS:,} answers over six weeks, a release in between):"
    quiet = [tally(report_on(Scenario(week=WEEK, answers=ANSWERS, seed=seed))) for seed in range(seeds)]
    total = sum(quiet, Counter[str]())
    yield (
        f"  comparisons called worse: {total['worse']} of {total['compared']:,}; reports with any: "
        + share_words(sum(t["worse"] > 0 for t in quiet), seeds)
    )
    yield (
        f"  called better: {total['better']}; change points: {total['changes']} in {2 * seeds} series; "
        f"days called anomalous: {total['anomalies']}; inputs called moved: {total['drifts']}"
    )
    yield f"{seeds} whole reports, {PLANTED.value} helpful at {PLANTED.level} instead of 0.85 since the release:"
    planted = [
        tally(report_on(Scenario(week=WEEK, answers=ANSWERS, seed=seed, planted=(PLANTED,)))) for seed in range(seeds)
    ]
    yield "  the slice is named first: " + share_words(sum(t["found"] for t in planted), seeds)
    yield (
        f"  comparisons of other slices called worse: {sum(t['elsewhere'] for t in planted)}; reports with any: "
        + share_words(sum(t["elsewhere"] > 0 for t in planted), seeds)
    )
    yield from _of_several_tasks(seeds, draws)
    yield (
        f"Tables of {SLICES} slices, {len(SLICED)} figures, {BASELINES} baselines (week before; four weeks of the release "
        f"before), {draws} each, one slice at 0.65 instead of 0.85:"
    )
    for n in RATED:
        found, wrong = power(n, draws)
        elsewhere = share_words(wrong, draws)
        yield f"  n={n:>3} ratings of the slice: found {share_words(found, draws)}, a false alarm elsewhere {elsewhere}"


def _of_several_tasks(seeds: int, draws: int) -> Iterator[str]:
    """Yield how often a page of several tasks without any change raises a false alarm."""
    yield f"Pages of several tasks on weeks without any change, {seeds} each; tables of their slices alone, {draws} each:"
    for tasks in TASKS:
        pages = sum(_alarmed(tasks, number) for number in range(seeds))
        tables = false_alarms(tasks, draws)
        yield f"  {tasks} tasks: pages with any {share_words(pages, seeds)}; of tables {share_words(tables, draws)}"


def _alarmed(tasks: int, number: int) -> bool:
    """Return whether any task on a page without changes is called worse; every page has other data."""
    made = {f"task{place}": ANSWERS_OF_TASK for place in range(tasks)}
    first = 1_000 * tasks + 100 * number
    scenarios = [
        Scenario(week=WEEK, answers=ANSWERS_OF_TASK, seed=first + place, task=name) for place, name in enumerate(made)
    ]
    return any(tally(report_on(scenario, tasks=made))["worse"] for scenario in scenarios)


def false_alarms(tasks: int, draws: int, *, rated: int = 100, seed: int = 2) -> int:
    """Return in how many draws any of ``tasks`` tables without a change has a comparison called worse."""
    rng = np.random.default_rng(seed)
    alarmed = 0
    for _ in range(draws):
        found = False
        for _task in range(tasks):
            family: list[Tested] = []
            for metric in SLICED:
                for _slice in range(SLICES):
                    _pair_of_tests(family, rng, metric, rated, (0.85, 0.85))
            words = [item.result for item in judge_families(family, FALSE_SHARE / tasks)]
            found = found or ComparisonResult.WORSE in words
        alarmed += found
    return alarmed


def tally(report: WeeklyReport) -> Counter[str]:
    """Return the counts of ``report``'s results for the planted slice and for everything else.

    ``elsewhere`` counts the slices called worse that the planted slice does not explain.
    """
    items = [*report.whole, *report.sliced]
    words = Counter(item.result for item in items)
    planted = (PLANTED.dimension, PLANTED.value)
    first = report.worse[0].first if report.worse else None
    elsewhere = [item for item in report.sliced if item.result is ComparisonResult.WORSE and not item.part_of]
    return Counter(
        worse=words[ComparisonResult.WORSE],
        better=words[ComparisonResult.BETTER],
        compared=len(items),
        found=int(first is not None and (first.dimension, first.value) == planted),
        elsewhere=sum((item.dimension, item.value) != planted for item in elsewhere),
        changes=len(report.changes),
        anomalies=len(report.anomalies),
        drifts=sum(drift.result in ("moved", "moved a little") for drift in report.drifts),
    )


def power(rated: int, draws: int, *, before: float = 0.85, after: float = 0.65, seed: int = 1) -> tuple[int, int]:
    """Return in how many tables the planted slice is called worse, and in how many any other comparison is.

    Every slice has ``rated`` ratings this week and last week, and four times as many for the release before; the other metrics
    are rates of 4% with five times as many answers.
    """
    rng = np.random.default_rng(seed)
    found = wrong = 0
    for _ in range(draws):
        family: list[Tested] = []
        hit: list[bool] = []
        for metric in SLICED:
            for place in range(SLICES):
                planted = metric.name == HELPFUL.name and place == 0
                _pair_of_tests(family, rng, metric, rated, (before, after if planted else before))
                hit += [planted] * BASELINES
        words = [item.result for item in judge_families(family)]
        found += any(result is ComparisonResult.WORSE for result, planted in zip(words, hit, strict=True) if planted)
        wrong += any(
            result is ComparisonResult.WORSE for result, planted in zip(words, hit, strict=True) if not planted
        )
    return found, wrong


def _pair_of_tests(
    family: list[Tested], rng: np.random.Generator, metric: WeeklyMetric, rated: int, helpful: tuple[float, float]
) -> None:
    n = rated if metric.name == HELPFUL.name else 5 * rated
    before, after = helpful if metric.name == HELPFUL.name else (0.04, 0.04)
    ours = Rate(successes=int(rng.binomial(n, after)), n=n)
    for size in (n, HISTORY * n):
        theirs = Rate(successes=int(rng.binomial(size, before)), n=size)
        # Latency and cost are simulated as further rates.
        as_rate = metric if metric.kind == "rate" else replace(SLICED[1], name=metric.name)
        found = contrast(as_rate, ours, theirs)
        assert found is not None
        family.append((found, ours, theirs))


def report_on(scenario: Scenario, *, tasks: Mapping[str, int] | None = None) -> WeeklyReport:
    """Return the report on a scenario, from a warehouse of its own; ``tasks``: answers by task, where the week has several."""
    with tempfile.TemporaryDirectory(prefix="omni-simulate-") as folder:
        warehouse = DuckWarehouse(Path(folder) / "omni.duckdb")
        try:
            warehouse.migrate()
            tables = rows(scenario)
            for event in EVENTS:
                if event.table in tables:
                    warehouse.merge(event, tables[event.table])
            data = read_week(warehouse, scenario.week, scenario.task, scenario.week.end + timedelta(days=1))
        finally:
            warehouse.close()
    return make_report(data if tasks is None else replace(data, tasks=tasks))


def share_words(count: int, n: int) -> str:
    """Return ``3 of 20 [0.05, 0.36]``."""
    side = rate_interval(count, n)
    return f"{count} of {n} [{side.low:.2f}, {side.high:.2f}]"
