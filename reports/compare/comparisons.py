"""All comparisons of the week: whole pairs and slices, against each of their baselines; a family of tests for each metric."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Literal

from figures.stats import Interval
from reports.compare.baselines import AliasMove, PairInWeek
from reports.compare.difference import Contrast, contrast, difference
from reports.compare.false_discovery import FALSE_SHARE, Tested, judge_families
from reports.compare.outcomes import ComparisonResult
from reports.read.counts import ALL, ComparedSide, WeekCounts, sample_of, slice_name
from reports.read.metrics import SMALLEST, WeeklyMetric
from reports.read.samples import Sample, p_value

ComparedWith = Literal["week before", "release before", "production beside it"]
EVERY_PAIR = "all pairs"
LAST_WEEK, THIS_WEEK = ComparedSide(digest=ALL, periods=(-1,)), ComparedSide(digest=ALL, periods=(0,))


@dataclass(frozen=True, slots=True, kw_only=True)
class Baseline:
    """A pair's answers of the week (``ours``) and the answers that they are compared with (``theirs``)."""

    digest: str
    label: str
    against: ComparedWith
    ours: ComparedSide
    theirs: ComparedSide
    their_label: str
    release: AliasMove | None = None  # the release that put the pair into production


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """A contrast with its baseline and slice; ``dimension`` is "" for a whole pair.

    ``part_of`` names the slice of the same baseline whose change explains this one: outside that slice, nothing changed here.
    """

    baseline: Baseline
    contrast: Contrast
    dimension: str = ""
    value: str = ""
    part_of: str = ""

    @property
    def slice(self) -> str:
        """The slice's name, "" for a whole pair."""
        return slice_name(self.dimension, self.value) if self.dimension else ""

    @property
    def result(self) -> ComparisonResult:
        """The result of the contrast."""
        return self.contrast.result


_CHANGES = (ComparisonResult.WORSE, ComparisonResult.BETTER)
_Place = tuple[Baseline, str, str]  # with dimension and value


def baselines(pairs: Sequence[PairInWeek], counts: WeekCounts) -> list[Baseline]:
    """Return the baselines of the week's comparisons.

    - All pairs together against the week before.
    - Each pair against itself the week before, unless it is the only pair in both weeks.
    - Each production pair against the release before it, each candidate against production.
    """
    frame = counts.data.cube
    recent = frame[frame["period"].isin((0, -1))]
    found = [
        Baseline(
            digest=ALL,
            label=pairs[0].label if recent["pair_digest"].nunique() == 1 and pairs else EVERY_PAIR,
            against="week before",
            ours=THIS_WEEK,
            theirs=LAST_WEEK,
            their_label="the week before",
        )
    ]
    last_week = set(frame.loc[frame["period"] == -1, "pair_digest"])
    for pair in pairs:
        ours, itself = (ComparedSide(digest=pair.digest, periods=(period,)) for period in (0, -1))
        of_pair = partial(Baseline, digest=pair.digest, label=pair.label, ours=ours, release=pair.release)
        if pair.digest in last_week and recent["pair_digest"].nunique() > 1:
            found.append(of_pair(against="week before", theirs=itself, their_label="the week before"))
        if pair.before is not None and pair.role != "earlier":
            before = pair.before
            found.append(of_pair(against=before.why, theirs=before.side, their_label=before.label))
    return found


def whole(counts: WeekCounts, found: Sequence[Baseline], share: float = FALSE_SHARE) -> list[Comparison]:
    """Return the comparisons of whole pairs."""
    places: list[_Place] = []
    family: list[Tested] = []
    for baseline in found:
        for metric in counts.metrics.compared:
            ours, theirs = counts.sample(metric, baseline.ours), counts.sample(metric, baseline.theirs)
            _add(places, family, (baseline, "", ""), metric, ours, theirs)
    return _judged(places, family, share)


def sliced(counts: WeekCounts, found: Sequence[Baseline], share: float = FALSE_SHARE) -> list[Comparison]:
    """Return the comparisons of slices; those that another slice explains name it in ``part_of``."""
    places: list[_Place] = []
    family: list[Tested] = []
    for baseline, dimension, metric in _cells(counts, found):
        ours, theirs = (counts.slices(metric, side, dimension) for side in (baseline.ours, baseline.theirs))
        for value in counts.values(dimension):
            _add(places, family, (baseline, dimension, value), metric, ours.get(value), theirs.get(value))
    return _explained_by_each_other(counts, _judged(places, family, share))


def _cells(counts: WeekCounts, found: Sequence[Baseline]) -> Iterator[tuple[Baseline, str, WeeklyMetric]]:
    for baseline in found:
        for dimension in counts.dimensions:
            for metric in counts.metrics.sliced:
                yield baseline, dimension, metric


def _add(
    places: list[_Place],
    family: list[Tested],
    place: _Place,
    metric: WeeklyMetric,
    ours: Sample | None,
    theirs: Sample | None,
) -> None:
    found = contrast(metric, ours, theirs)
    if found is not None and ours is not None and theirs is not None:
        places.append(place)
        family.append((found, ours, theirs))


def _judged(places: Sequence[_Place], family: Sequence[Tested], share: float) -> list[Comparison]:
    of_baselines = [baseline for baseline, _, _ in places]
    return [
        Comparison(baseline=baseline, contrast=judged, dimension=dimension, value=value)
        for (baseline, dimension, value), judged in zip(
            places, judge_families(family, share, of_baselines), strict=True
        )
    ]


def explained_by_slices(
    counts: WeekCounts, of_pairs: Sequence[Comparison], of_slices: Sequence[Comparison]
) -> list[Comparison]:
    """Return the comparisons of whole pairs; one that a single slice explains names that slice in ``part_of``."""
    roots = [item for item in of_slices if item.result in _CHANGES and not item.part_of]
    roots.sort(key=lambda item: item.contrast.p or 0.0)
    return [
        replace(
            item, part_of=next((root.slice for root in roots if _is_explained_by(counts, item, root, alone=False)), "")
        )
        if item.result in _CHANGES
        else item
        for item in of_pairs
    ]


def explained_by_whole(of_pairs: Sequence[Comparison], of_slices: Sequence[Comparison]) -> list[Comparison]:
    """Return the comparisons of slices; one that changed no more than its whole pair did is marked as part of the whole.

    Of a latency that changed for the whole pair, every slice is a part: a whole distribution seldom moves by one factor.
    """
    wholes: dict[tuple[str, Baseline, ComparisonResult], Interval | None] = {
        (item.contrast.metric.name, item.baseline, item.result): item.contrast.difference
        for item in of_pairs
        if item.result in _CHANGES and not item.part_of
    }
    done = []
    for item in of_slices:
        change = wholes.get((item.contrast.metric.name, item.baseline, item.result))
        quantile = item.contrast.metric.kind == "quantile"
        if change is not None and (quantile or _may_be(change.value, item.contrast.difference)):
            done.append(replace(item, part_of="the whole"))
        else:
            done.append(item)
    return done


def _may_be(value: float, interval: Interval | None) -> bool:
    if interval is None:
        return True
    return (interval.low is None or interval.low <= value) and (interval.high is None or value <= interval.high)


def _explained_by_each_other(counts: WeekCounts, found: list[Comparison]) -> list[Comparison]:
    """Return ``found`` with ``part_of`` set where another slice explains the change, as an intent may explain its channel's."""
    done: dict[int, str] = {}
    moved = sorted(
        (place for place, item in enumerate(found) if item.result in _CHANGES),
        key=lambda place: (
            0.0 if found[place].contrast.metric.kind == "quantile" else found[place].contrast.p or 0.0,
            -abs(_size(found[place].contrast)),
        ),
    )
    roots: list[int] = []
    for place in moved:
        cause = next((found[root] for root in roots if _is_explained_by(counts, found[place], found[root])), None)
        if cause is None:
            roots.append(place)
        else:
            done[place] = cause.slice
    return [replace(item, part_of=done.get(place, "")) for place, item in enumerate(found)]


def _is_explained_by(counts: WeekCounts, item: Comparison, cause: Comparison, *, alone: bool = True) -> bool:
    """Return whether ``cause`` explains ``item``: outside ``cause`` its change is within the margin or within chance.

    Of latencies, histograms of two dimensions at once are not read: the largest change explains those of other dimensions.
    ``alone`` is returned where fewer than ``SMALLEST`` are left outside: True for two slices, which then are nearly the same;
    False for a whole pair, which a slice that covers nearly all of it does not explain. The rest is tested at the level at which
    ``item`` was found, so that it counts only if it would have been found without ``cause``; but what a slice of most answers
    leaves of a whole pair are too few for chance to explain anything.
    """
    metric = item.contrast.metric
    same = (cause.contrast.metric, cause.baseline, cause.result) == (metric, item.baseline, item.result)
    if not same or cause.dimension == item.dimension:
        return False
    if metric.kind == "quantile" and item.dimension:
        return True
    ours, theirs = (_left(counts, item, cause, side) for side in (item.baseline.ours, item.baseline.theirs))
    if ours is None or theirs is None or min(ours.n, theirs.n) < SMALLEST:
        return alone
    left = difference(metric, ours.interval(), theirs.interval())
    assert metric.margin is not None
    # Margin and difference have the same scale: both are shares of the baseline, or both are rates.
    if left is None or abs(left.value) < metric.margin:
        return True
    most = not item.dimension and ours.n < item.contrast.ours.n / 2
    return not most and p_value(ours, theirs) > item.contrast.level


def _left(counts: WeekCounts, item: Comparison, cause: Comparison, side: ComparedSide) -> Sample | None:
    """Return the sample of ``item`` on ``side`` without the answers in ``cause``."""
    metric, other = item.contrast.metric, (cause.dimension, cause.value)
    if metric.kind == "quantile":
        return counts.latency_without(side, other, metric.quantile)
    return sample_of(metric, counts.without(side, other, item.dimension, item.value))


def _size(found: Contrast) -> float:
    return found.difference.value if found.difference is not None else 0.0
