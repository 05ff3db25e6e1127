"""The week's findings: what got worse or better, since when, in which slice, on which pair."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd

from figures.arrays import Floats
from figures.formatting import format_interval, format_number, format_signed
from figures.metric import Unit
from figures.stats import Interval
from reports.compare.anomalies import by_day
from reports.compare.baselines import AliasMove
from reports.compare.change_points import ChangePoint, latency_changes, rate_changes, with_releases
from reports.compare.comparisons import Comparison
from reports.compare.difference import turned
from reports.compare.onset import onset_of
from reports.compare.outcomes import ComparisonResult
from reports.read.counts import WeekCounts
from reports.read.data import WeekData
from reports.read.metrics import APPROVAL, HELPFUL, METRICS, P50, P95, WeeklyMetric
from reports.read.samples import Quantile, Rate
from reports.read.weeks import day_words
from service.kit.frame.display.inert import one_line

_FIRST = {metric.name: place for place, metric in enumerate((*METRICS, APPROVAL))}
_ADJECTIVES = ("channel", "intent")  # dimensions whose values stand well before "answers"
_CLOSEST = {"release before": 0, "production beside it": 0, "week before": 1}


@dataclass(frozen=True, slots=True, kw_only=True)
class WeekFinding:
    """One change for the worse or the better, with every comparison that shows it; the first one is reported.

    ``affected`` is the number of the week's answers that it changed for customers or agents, at the least that its interval
    allows; 0 for a metric that they do not notice.
    """

    result: ComparisonResult
    comparisons: tuple[Comparison, ...]
    since: ChangePoint | None
    since_words: str
    affected: int = 0

    @property
    def blamed(self) -> AliasMove | None:
        """The release with which the change began; None for a candidate's, and where no release was near."""
        return self.since.release if self.since is not None else None

    @property
    def first(self) -> Comparison:
        """The comparison that page and digest report."""
        return self.comparisons[0]

    @property
    def metric(self) -> WeeklyMetric:
        """The metric that changed."""
        return self.first.contrast.metric


ComparisonOutcome = Literal["worse", "better", "no worse", "inconclusive", "too few to say", "no data", "first week"]


def findings_of(
    counts: WeekCounts, comparisons: Sequence[Comparison], releases: Sequence[AliasMove]
) -> list[WeekFinding]:
    """Return the changes, worse before better, and of those the ones that customers notice most before the others.

    A change that another slice explains is no finding of its own, nor is one of p50 beside the same one of a whole pair's p95.
    """
    groups: dict[tuple[str, str, str, ComparisonResult], list[Comparison]] = {}
    changed = [
        item
        for item in comparisons
        if item.result in (ComparisonResult.WORSE, ComparisonResult.BETTER) and not item.part_of
    ]
    tails = {
        (item.baseline, item.result) for item in changed if item.contrast.metric.name == P95.name and not item.dimension
    }
    for item in changed:
        if item.contrast.metric.name != P50.name or (item.baseline, item.result) not in tails:
            key = (item.contrast.metric.name, item.dimension, item.value, item.result)
            groups.setdefault(key, []).append(item)
    found = []
    for (*_, result), items in groups.items():
        items.sort(key=lambda item: (_CLOSEST[item.baseline.against], item.contrast.p or 0.0))
        since = onset_of(counts.data, items[0], releases)
        found.append(
            WeekFinding(
                result=result,
                comparisons=tuple(items),
                since=since,
                since_words=_since_words(counts.data, since),
                affected=_affected(counts, items[0]),
            )
        )
    order = {ComparisonResult.WORSE: 0, ComparisonResult.BETTER: 1}
    return sorted(
        found,
        key=lambda item: (
            order[item.result],
            -item.affected,
            _FIRST[item.metric.name],
            bool(item.first.dimension),
            item.first.contrast.p or 0.0,
        ),
    )


def _affected(counts: WeekCounts, item: Comparison) -> int:
    """Return how many of the week's answers changed, by the end of the difference's interval that is nearest to none.

    Ratings and edits stand for all answers, rated or not. An answer is late above the baseline's quantile.
    """
    metric, side = item.contrast.metric, item.baseline.ours
    if not metric.felt or item.contrast.difference is None:
        return 0
    if metric.kind == "quantile":
        sample = (
            counts.slices(metric, side, item.dimension)[item.value] if item.dimension else counts.sample(metric, side)
        )
        assert isinstance(sample, Quantile)
        late = Rate(successes=sample.above(item.contrast.theirs.value), n=sample.n).interval()
        ends, usual, base = (late.low, late.high), 1 - metric.quantile, float(sample.n)
    else:
        sums = counts.by_slice(side, item.dimension)[item.value] if item.dimension else counts.total(side)
        between = turned(metric, item.contrast.difference)
        ends, usual, base = (
            (between.low, between.high),
            0.0,
            sums["answers" if metric.whole == "rated" else metric.whole],
        )
    return round(base * min(abs(end - usual) for end in ends if end is not None))


def series_changes(data: WeekData, releases: Sequence[AliasMove]) -> list[ChangePoint]:
    """Return the change points of the helpful rate and of p95 over all pairs, within the weeks read from the warehouse."""
    frame = by_day(data)
    rated = frame[frame["rated"] > 0]
    found = rate_changes(
        HELPFUL.title, [int(day) for day in rated["day"]], _floats(rated["helpful"]), _floats(rated["rated"])
    )
    judged = frame[frame["judged"] > 0]
    found += rate_changes(
        APPROVAL.title, [int(day) for day in judged["day"]], _floats(judged["approved"]), _floats(judged["judged"])
    )
    timed = frame[(frame["answers"] >= 20) & frame["p95"].notna()]
    found += latency_changes(P95.title, [int(day) for day in timed["day"]], _floats(timed["p95"]))
    return with_releases(found, releases, data.week)


def outcome(
    data: WeekData, whole: Sequence[Comparison], found: Sequence[WeekFinding], *, calls_worse: bool = False
) -> ComparisonOutcome:
    """Return the week's overall outcome: "worse" if any pair or slice is worse, otherwise decided by the helpful rate.

    ``calls_worse``: scored calls got worse, or agreement on them fell, which makes the week worse as well.
    """
    if data.answers == 0:
        return "no data"
    if calls_worse or any(item.result is ComparisonResult.WORSE for item in found):
        return "worse"
    words = [item.result for item in whole if item.contrast.metric.name == HELPFUL.name]
    if not words:
        return "first week" if not whole else "too few to say"
    if any(item.result is ComparisonResult.BETTER and item.metric.name == HELPFUL.name for item in found):
        return "better"
    for result, said in ((ComparisonResult.NO_WORSE, "no worse"), (ComparisonResult.INCONCLUSIVE, "inconclusive")):
        if result in words:
            return said  # type: ignore[return-value]
    return "too few to say"


def figure(metric: WeeklyMetric, side: Interval) -> str:
    """Return a figure with its interval: ``0.64 [0.58, 0.70]``, with more digits where two hide the side of the target."""
    value = format_number(side.value, metric.unit, apart_from=metric.target)
    return f"{value} {format_interval(side.low, side.high, metric.unit, apart_from=metric.target)}".strip()


def change_text(item: Comparison) -> str:
    """Return the difference with its interval, signed: ``-0.20 [-0.30, -0.10]``, or in percent for relative ones."""
    metric, between = item.contrast.metric, item.contrast.difference
    if between is None:
        return "no relative change (the baseline is 0)"
    unit = Unit.CHANGE if metric.relative else metric.unit
    text = format_signed(between.value, unit)
    if between.low is None or between.high is None:
        return text
    return f"{text} [{format_signed(between.low, unit)}, {format_signed(between.high, unit)}]"


def answers_named(item: Comparison, longest: int = 48) -> str:
    """Return the answers of the comparison's slice in words: ``web answers``, ``answers for client a``, ``answers``."""
    if item.dimension in _ADJECTIVES:
        return f"{one_line(item.value, longest // 2)} answers"
    return f"answers for {one_line(item.slice, longest)}" if item.dimension else "answers"


def names_of(items: Sequence[Comparison], most: int = 3) -> str:
    """Return the changed metrics with their slices, each once: ``helpful rate for intent outage, latency p95 and 2 more``."""
    names = list(
        dict.fromkeys(
            f"{item.contrast.metric.title}{f' for {item.slice}' if item.slice else ''}"
            for item in sorted(items, key=lambda item: _FIRST[item.contrast.metric.name])
        )
    )
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")


def finding_sentence(item: WeekFinding) -> str:
    """Return a finding as a sentence without a full stop: since when, slice, pair, metric, both figures with n, difference."""
    first = item.first
    contrast, metric = first.contrast, item.metric
    whom = f" for {first.slice}" if first.dimension else ""
    where = "the week before" if first.baseline.against == "week before" else f"on {first.baseline.their_label}"
    return (
        f"{item.result.value.capitalize()} {item.since_words}{whom} on {first.baseline.label}: {metric.title} "
        f"{format_number(contrast.ours.value, metric.unit)} (n={contrast.ours.n:,}) against "
        f"{format_number(contrast.theirs.value, metric.unit)} {where} (n={contrast.theirs.n:,}), "
        f"difference {change_text(first)}"
    )


def _since_words(data: WeekData, since: ChangePoint | None) -> str:
    if since is None:
        return "this week"
    if since.release is not None:
        # The level changed within a day of the release: name the release's day, because a reader looks that up.
        return f"since {since.release.name} ({day_words(since.release.at.astimezone(data.week.zone).date())})"
    return f"since about {day_words(data.week.day(since.day))}"


def _floats(column: "pd.Series[int]") -> Floats:
    return np.asarray(column, dtype=np.float64)
