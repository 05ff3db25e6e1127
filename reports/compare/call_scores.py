"""Scored calls against the week before: passed, score and criteria, per tenant and form, in all and per agent group."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from figures.formatting import format_number, plural
from figures.stats import Interval
from reports.compare.difference import Contrast, contrast
from reports.compare.false_discovery import Tested, judge_families
from reports.compare.outcomes import ComparisonResult
from reports.read.data import WeekData
from reports.read.metrics import CALL_SCORE, CALLS_PASSED, CRITERION_MET, WeeklyMetric
from reports.read.samples import Mean, Rate, Sample

EVERY_GROUP = ""  # all agent groups together
_MOST_GROUPS = 2  # named in a sentence
_CHANGES = (ComparisonResult.WORSE, ComparisonResult.BETTER)


@dataclass(frozen=True, slots=True, kw_only=True)
class ScorePlace:
    """What a figure is about: a criterion ("" for the whole call) of a tenant's form, in one agent group or in all.

    ``reader`` read the sentiment; "" for what the model scored.
    """

    tenant: str
    form_id: str
    criterion: str = ""
    group: str = EVERY_GROUP
    reader: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class CallFigure:
    """One figure of scored calls, this week and the week before; ``now`` or ``before`` is None without calls.

    ``other_version`` and ``other_pair``: the calls of the two weeks were scored by other versions of the form, or other pairs.
    ``in_groups`` are the same figures of the agent groups that changed in the same way, the largest change first.
    """

    place: ScorePlace
    metric: WeeklyMetric
    question: str
    now: Interval | None
    before: Interval | None
    found: Contrast | None
    other_version: bool = False
    other_pair: bool = False
    in_groups: tuple["CallFigure", ...] = ()

    @property
    def result(self) -> ComparisonResult:
        """The result of the comparison with the week before; NONE where there is none."""
        return ComparisonResult.NONE if self.found is None else self.found.result


@dataclass(frozen=True, slots=True, kw_only=True)
class CallScores:
    """The week's figures of scored calls, by tenant and form; ``calls`` and ``calls_before`` count the calls of both weeks.

    ``tested`` counts the comparisons of all groups together, and those of single groups.
    """

    calls: int
    calls_before: int
    figures: Sequence[CallFigure]
    tested: tuple[int, int]

    @property
    def forms(self) -> list[tuple[str, str]]:
        """The tenants' forms with calls in either week, sorted."""
        return sorted({(item.place.tenant, item.place.form_id) for item in self.figures})

    @property
    def changed(self) -> list[CallFigure]:
        """What got worse, then what got better: criteria first, because they say what to do, the smallest p-value first.

        A change in one group is left out where the same figure of all groups changed in the same way.
        """
        return changes_in(self.figures)

    @property
    def worse(self) -> list[CallFigure]:
        """What got worse, see ``changed``."""
        return [item for item in self.changed if item.result is ComparisonResult.WORSE]

    def of(self, place: ScorePlace, metric: WeeklyMetric) -> CallFigure | None:
        """Return one figure, None where neither week has it."""
        return next((item for item in self.figures if (item.place, item.metric.name) == (place, metric.name)), None)


def changes_in(figures: Sequence[CallFigure]) -> list[CallFigure]:
    """Return the figures that changed, in the order of ``CallScores.changed``."""
    whole = {(item.place, item.metric.name, item.result) for item in figures if item.place.group == EVERY_GROUP}
    found = [
        item
        for item in figures
        if item.result in _CHANGES
        and (
            item.place.group == EVERY_GROUP
            or (replace(item.place, group=EVERY_GROUP), item.metric.name, item.result) not in whole
        )
    ]
    return sorted(found, key=lambda item: (_CHANGES.index(item.result), not item.place.criterion, _p(item)))


def judge_figures(
    figures: Sequence[CallFigure], tested: Mapping[int, Tested]
) -> tuple[list[CallFigure], tuple[int, int]]:
    """Return the figures with their results and groups, and how many comparisons were tested: of all groups, of single ones.

    Args:
        figures: with the result still open.
        tested: by their places in ``figures``. Those of all groups are one family of tests, those of single groups another.
    """
    found, counts = list(figures), []
    for whole in (True, False):
        family = [place for place in tested if (figures[place].place.group == EVERY_GROUP) == whole]
        judged = judge_families([tested[place] for place in family])
        for place, one in zip(family, judged, strict=True):
            found[place] = replace(found[place], found=one)
        counts.append(sum(one.tested for one in judged))
    return [_with_groups(item, found) for item in found], (counts[0], counts[1])


def call_scores_of(data: WeekData) -> CallScores:
    """Return the week's figures of scored calls.

    The comparisons of all groups together with the week before are one family of tests, those of single groups another.
    """
    weeks: dict[int, dict[tuple[ScorePlace, str], _Counts]] = {0: {}, -1: {}}
    for row in data.call_scores.itertuples():
        _add_call(weeks, row)
    for row in data.criterion_scores.itertuples():
        _add_criterion(weeks, row)
    found: list[CallFigure] = []
    tested: dict[int, Tested] = {}
    for key in sorted({*weeks[0], *weeks[-1]}, key=lambda key: (_order(key[0]), key[1])):
        now, before = weeks[0].get(key, _Counts()), weeks[-1].get(key, _Counts())
        ours, theirs = now.sample(key[1]), before.sample(key[1])
        compared = contrast(_METRICS[key[1]], ours, theirs)
        if compared is not None and ours is not None and theirs is not None:
            tested[len(found)] = (compared, ours, theirs)
        found.append(
            CallFigure(
                place=key[0],
                metric=_METRICS[key[1]],
                question=now.question or before.question,
                now=None if ours is None else ours.interval(),
                before=None if theirs is None else theirs.interval(),
                found=compared,
                other_version=bool(now.versions and before.versions) and now.versions != before.versions,
                other_pair=bool(now.pairs and before.pairs) and now.pairs != before.pairs,
            )
        )
    figures, counts = judge_figures(found, tested)
    calls = data.call_scores.groupby("period")["calls"].sum()
    return CallScores(
        calls=int(calls.get(0, 0)),
        calls_before=int(calls.get(-1, 0)),
        figures=figures,
        tested=counts,
    )


def change_sentence(item: CallFigure) -> str:
    """Return a change as a sentence without a full stop: place, both figures with n, difference, other possible causes."""
    assert item.found is not None
    ours, theirs = item.found.ours, item.found.theirs
    between = item.found.difference
    assert between is not None
    unit = item.metric.unit
    change = format_number(between.value, unit)
    ends = (
        ""
        if between.low is None or between.high is None
        else f" [{format_number(between.low, unit)}, {format_number(between.high, unit)}]"
    )
    text = (
        f"{item.result.value.capitalize()} this week for {place_words(item.place)}: {item.metric.title} "
        f"{format_number(ours.value, unit)} (n={ours.n:,}) against {format_number(theirs.value, unit)} the week before "
        f"(n={theirs.n:,}), difference {change}{ends}"
    )
    if item.in_groups:
        groups = [
            f"{group.place.group} ({format_number(group.now.value, unit)} against {format_number(group.before.value, unit)})"
            for group in item.in_groups[:_MOST_GROUPS]
            if group.now is not None and group.before is not None
        ]
        text += f"; most in agent group {' and '.join(groups)}"
    if item.other_version:
        text += "; the week before used another version of the form"
    if item.other_pair:
        text += "; another pair scored the calls"
    return text


def place_words(place: ScorePlace) -> str:
    """Return ``criterion greet of form support (acme), agent group loans``."""
    form = f"form {place.form_id} ({place.tenant})"
    text = f"criterion {place.criterion} of {form}" if place.criterion else form
    text = f"{text}, agent group {place.group}" if place.group != EVERY_GROUP else text
    return f"{text}, read by {place.reader}" if place.reader else text


def calls_sentence(found: CallScores) -> str:
    """Return the numbers behind the figures."""
    tenants = {tenant for tenant, _ in found.forms}
    return (
        f"{plural(found.calls, 'scored call')} this week, {found.calls_before:,} the week before, by "
        f"{plural(len(found.forms), 'form')} of {plural(len(tenants), 'tenant')}. The verdicts are the model's: a week in which "
        "people overrule more must not look like one in which agents did worse."
    )


_METRICS: Mapping[str, WeeklyMetric] = {metric.name: metric for metric in (CALLS_PASSED, CALL_SCORE, CRITERION_MET)}


@dataclass(slots=True)
class _Counts:
    part: float = 0
    squares: float = 0.0
    whole: int = 0
    question: str = ""
    versions: set[int] = field(default_factory=set)
    pairs: set[str] = field(default_factory=set)

    def add(self, part: float, whole: int, squares: float = 0.0) -> None:
        self.part, self.whole, self.squares = self.part + part, self.whole + whole, self.squares + squares

    def sample(self, metric: str) -> Sample | None:
        if self.whole == 0:
            return None
        if _METRICS[metric].kind == "mean":
            return Mean(total=self.part, squares=self.squares, n=self.whole)
        return Rate(successes=int(self.part), n=self.whole)


def _add_call(weeks: Mapping[int, dict[tuple[ScorePlace, str], _Counts]], row: Any) -> None:
    week = weeks[int(row.period)]
    for group in (EVERY_GROUP, str(row.agent_group)):
        place = ScorePlace(tenant=str(row.tenant_id), form_id=str(row.form_id), group=group)
        week.setdefault((place, CALLS_PASSED.name), _Counts()).add(int(row.passed), int(row.decided))
        if int(row.scored):
            week.setdefault((place, CALL_SCORE.name), _Counts()).add(
                float(row.points), int(row.scored), float(row.points_squares)
            )


def _add_criterion(weeks: Mapping[int, dict[tuple[ScorePlace, str], _Counts]], row: Any) -> None:
    week = weeks[int(row.period)]
    for group in (EVERY_GROUP, str(row.agent_group)):
        place = ScorePlace(
            tenant=str(row.tenant_id), form_id=str(row.form_id), criterion=str(row.criterion_id), group=group
        )
        counts = week.setdefault((place, CRITERION_MET.name), _Counts())
        counts.add(int(row.met), int(row.applied))
        counts.versions.add(int(row.form_version))
        counts.pairs.add(str(row.pair_digest))
        if isinstance(row.question, str):
            counts.question = row.question


def _with_groups(item: CallFigure, figures: Sequence[CallFigure]) -> CallFigure:
    if item.place.group != EVERY_GROUP or item.result not in _CHANGES:
        return item
    same = [
        one
        for one in figures
        if one.place.group != EVERY_GROUP
        and one.metric is item.metric
        and one.result is item.result
        and replace(one.place, group=EVERY_GROUP) == item.place
    ]
    return replace(item, in_groups=tuple(sorted(same, key=_size, reverse=True)))


def _size(item: CallFigure) -> float:
    between = None if item.found is None else item.found.difference
    return 0.0 if between is None else abs(between.value)


def _order(place: ScorePlace) -> tuple[str, str, str, str]:
    return place.tenant, place.form_id, place.group, place.criterion


def _p(item: CallFigure) -> float:
    return 1.0 if item.found is None or item.found.p is None else item.found.p
