"""The weekly report as values: everything that page, digest and table show, computed from one week's data."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from figures.stats import Interval
from reports.compare.advice import Action, WeekFacts, actions, call_actions
from reports.compare.agreement import AgreementWeek, agreement_of
from reports.compare.anomalies import Anomaly, anomalies
from reports.compare.baselines import AliasMove, PairInWeek, pairs_in_week, releases_of
from reports.compare.call_scores import CallScores, call_scores_of
from reports.compare.call_sentiment import CallSentiments, call_sentiments_of
from reports.compare.change_points import ChangePoint
from reports.compare.comparisons import (
    EVERY_PAIR,
    THIS_WEEK,
    Comparison,
    baselines,
    explained_by_slices,
    explained_by_whole,
    sliced,
    whole,
)
from reports.compare.difference import against_target
from reports.compare.drift import Drift, drifts
from reports.compare.false_discovery import BLAME_SHARE, FALSE_SHARE
from reports.compare.findings import ComparisonOutcome, WeekFinding, findings_of, outcome, series_changes
from reports.compare.gate_promises import GatePromise, promises_of
from reports.compare.outcomes import ComparisonResult
from reports.compare.rating_bias import RatingBias, selection
from reports.compare.themes import Themes, themes
from reports.read.counts import ALL, ComparedSide, WeekCounts
from reports.read.data import WeekData
from reports.read.metrics import UNHELPFUL, WeeklyMetric
from reports.read.queries import BASELINE_WEEKS


@dataclass(frozen=True, slots=True, kw_only=True)
class WeekColumn:
    """A column of the table of figures: one pair, or all pairs together."""

    digest: str
    label: str


@dataclass(frozen=True, slots=True, kw_only=True)
class WeekFigure:
    """One metric of one column (and slice) in one week; ``period`` 0 is the report's week. ``side`` is None without data."""

    metric: WeeklyMetric
    column: WeekColumn
    period: int
    side: Interval | None
    target: ComparisonResult
    dimension: str = ""
    value: str = ""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class WeeklyReport:
    """One week's report; ``figures`` covers the four weeks before as well."""

    data: WeekData
    outcome: ComparisonOutcome
    pairs: Sequence[PairInWeek]
    releases: Sequence[AliasMove]
    columns: Sequence[WeekColumn]
    figures: Mapping[tuple[str, str, int], WeekFigure]  # by metric name, digest, period
    slice_figures: Sequence[WeekFigure]
    whole: Sequence[Comparison]
    sliced: Sequence[Comparison]
    findings: Sequence[WeekFinding]
    promises: Sequence[GatePromise]
    changes: Sequence[ChangePoint]
    drifts: Sequence[Drift]
    anomalies: Sequence[Anomaly]
    selection: RatingBias
    themes: Themes
    agreement: AgreementWeek
    scores: CallScores
    sentiments: CallSentiments
    actions: Sequence[Action]
    counts: WeekCounts
    simulated: bool = False  # the week was invented by `omni traffic`

    @property
    def share(self) -> float:
        """The largest share of the changes reported in one family of tests that may be due to chance."""
        return FALSE_SHARE / self.data.tested_tasks

    @property
    def worse(self) -> list[WeekFinding]:
        """The findings that are changes for the worse."""
        return [item for item in self.findings if item.result is ComparisonResult.WORSE]


def make_report(data: WeekData, *, simulated: bool = False) -> WeeklyReport:
    """Return a week's report, also for a week without answers; ``simulated`` says that its figures are invented."""
    counts, releases = WeekCounts(data), releases_of(data)
    pairs = pairs_in_week(data, releases)
    columns = _columns(data, pairs)
    compared = baselines(pairs, counts) if data.answers else []
    share = FALSE_SHARE / data.tested_tasks
    of_slices = sliced(counts, compared, share)
    of_pairs = explained_by_slices(counts, whole(counts, compared, share), of_slices)
    of_slices = explained_by_whole(of_pairs, of_slices)
    found = findings_of(counts, [*of_pairs, *of_slices], releases)
    figures, ratings, feedback = _figures(counts, columns, pairs), selection(counts, THIS_WEEK), themes(data)
    promises, moved, odd = promises_of(counts, pairs), drifts(data), anomalies(data)
    agreed, scores = agreement_of(data), call_scores_of(data)
    facts = WeekFacts(
        task=data.task,
        week=data.week.name,
        pairs=pairs,
        found=found,
        whole=of_pairs,
        sliced=of_slices,
        blame_share=BLAME_SHARE / data.tested_tasks,
        unhelpful=_unhelpful(figures, columns),
        drifts=moved,
        anomalies=odd,
        ratings=ratings,
        themes=feedback,
        promises=promises,
        stops=data.stops,
    )
    return WeeklyReport(
        data=data,
        outcome=outcome(data, of_pairs, found, calls_worse=bool(agreed.fallen or scores.worse)),
        pairs=pairs,
        releases=releases,
        columns=columns,
        figures=figures,
        slice_figures=_slice_figures(counts, columns),
        whole=of_pairs,
        sliced=of_slices,
        findings=found,
        promises=promises,
        changes=series_changes(data, releases),
        drifts=moved,
        anomalies=odd,
        selection=ratings,
        themes=feedback,
        agreement=agreed,
        scores=scores,
        sentiments=call_sentiments_of(data),
        actions=[*(actions(facts) if data.answers else []), *call_actions(agreed, scores)],
        counts=counts,
        simulated=simulated,
    )


def _unhelpful(figures: Mapping[tuple[str, str, int], WeekFigure], columns: Sequence[WeekColumn]) -> ComparisonResult:
    """Return how the share of unhelpful answers of all pairs together compares with its target."""
    found = figures.get((UNHELPFUL.name, columns[0].digest, 0)) if columns else None
    return ComparisonResult.NONE if found is None else found.target


def _columns(data: WeekData, pairs: Sequence[PairInWeek]) -> list[WeekColumn]:
    """Return one column per pair, plus one for all pairs together if several answered this week or another one last week."""
    columns = [WeekColumn(digest=pair.digest, label=pair.label) for pair in pairs]
    last_week = set(data.cube.loc[data.cube["period"] == -1, "pair_digest"])
    if len(pairs) > 1:
        columns.insert(0, WeekColumn(digest=ALL, label=EVERY_PAIR))
    elif pairs and last_week - {pairs[0].digest}:
        columns = [WeekColumn(digest=ALL, label=f"{EVERY_PAIR} (this week only {pairs[0].label})")]
    return columns


def _figures(
    counts: WeekCounts, columns: Sequence[WeekColumn], pairs: Sequence[PairInWeek]
) -> dict[tuple[str, str, int], WeekFigure]:
    """Return every metric of every column and pair for this week and the four before, keyed by metric name, digest and period."""
    return {
        (metric.name, column.digest, -back): _figure(counts, metric, column, -back)
        for metric in counts.metrics.every
        for column in dict.fromkeys([*columns, *(WeekColumn(digest=pair.digest, label=pair.label) for pair in pairs)])
        for back in range(BASELINE_WEEKS + 1)
    }


def _figure(counts: WeekCounts, metric: WeeklyMetric, column: WeekColumn, period: int) -> WeekFigure:
    sample = counts.sample(metric, ComparedSide(digest=column.digest, periods=(period,)))
    side = sample.interval() if sample is not None else None
    target = against_target(metric, side) if side is not None else ComparisonResult.NONE
    return WeekFigure(metric=metric, column=column, period=period, side=side, target=target)


def _slice_figures(counts: WeekCounts, columns: Sequence[WeekColumn]) -> list[WeekFigure]:
    return [
        WeekFigure(
            metric=metric,
            column=column,
            period=period,
            side=sample.interval(),
            target=against_target(metric, sample.interval()),
            dimension=dimension,
            value=value,
        )
        for column in columns
        for dimension in counts.dimensions
        for metric in counts.metrics.sliced
        for period in (0, -1)
        for value, sample in counts.slices(
            metric, ComparedSide(digest=column.digest, periods=(period,)), dimension
        ).items()
    ]
