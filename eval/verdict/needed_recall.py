"""How good a yes-or-no judge must be for the gate to do its work: the least recall, by simulation with the gate's own rules.

A judge that finds a share ``recall`` of the harmed answers and objects to a share ``false_alarms`` of the good ones must let
the gate decide right (``TARGETS``) about a pair of which a part of the answers is harmed, and about a pair as good as
production. False alarms of the two pairs are drawn independently; on equal texts they would cancel out.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache

import numpy as np
from numpy.typing import NDArray

from eval.spine.judge_spec import JudgeSpec
from eval.spine.results import Verdict
from eval.verdict.gate import floor_verdict, margin_verdict
from eval.verdict.paired import rate_difference_interval
from figures.stats import Interval, rate_interval

SMALL_DOSE, LARGE_DOSE = 0.10, 0.25
CAUGHT, EQUAL_PASSES = 0.90, 0.80  # least shares of trials
TARGETS = (
    f"at {SMALL_DOSE:.0%} harmed answers the gate does not pass and at {LARGE_DOSE:.0%} it fails the pair in at least "
    f"{CAUGHT:.0%} of trials; an equal pair passes in at least {EQUAL_PASSES:.0%}"
)
GATE_CASES = 200  # the size of the gate sets, for which licences are derived
TRIALS = 4_000  # Monte-Carlo error at 0.9: 0.005
_SEED = 20261122
_STEPS = 100  # recall is found to 0.01
_Booleans = NDArray[np.bool_]
_Counts = NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgeBounds:
    """How the gate uses a judge's score on ``cases`` cases: the margin to production and the floor; None: not at all."""

    cases: int
    margin: float | None
    floor: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Shares:
    """The shares of trials in which the gate passes and fails a pair."""

    passed: float
    failed: float


def shares(bounds: JudgeBounds, *, dose: float, recall: float, false_alarms: float, trials: int = TRIALS) -> Shares:
    """Return how often the gate passes and fails a pair of which ``dose`` (0 to 1) of the answers are harmed."""
    ours = dose * max(recall, false_alarms) + (1 - dose) * false_alarms
    cells = [ours * false_alarms, ours * (1 - false_alarms), (1 - ours) * false_alarms, (1 - ours) * (1 - false_alarms)]
    drawn = np.random.default_rng(_SEED).multinomial(bounds.cases, cells, size=trials)
    both, lost, gained = drawn[:, 0], drawn[:, 1], drawn[:, 2]
    passed, failed = np.ones(trials, dtype=bool), np.zeros(trials, dtype=bool)
    if bounds.margin is not None:
        most, least = _limits_by_gain(bounds.cases, bounds.margin, gained)
        passed, failed = passed & (lost <= most), failed | (lost >= least)
    if bounds.floor is not None:
        most_failures, least_failures = _floor_limits(bounds.cases, bounds.floor)
        passed, failed = passed & (both + lost <= most_failures), failed | (both + lost >= least_failures)
    return Shares(passed=_share(passed & ~failed), failed=_share(failed))


@cache
def needed_recall(bounds: JudgeBounds, false_alarms: float, trials: int = TRIALS) -> float | None:
    """Return the least recall (0 to 1, in steps of 0.01) with which the gate meets ``TARGETS``; None: no recall suffices."""
    if not _equal_passes(bounds, false_alarms, trials) or not _caught(bounds, 1.0, false_alarms, trials):
        return None
    return _first(lambda step: _caught(bounds, step / _STEPS, false_alarms, trials), _STEPS) / _STEPS


@cache
def recall_for_first_release(bounds: JudgeBounds, false_alarms: float, trials: int = TRIALS) -> float | None:
    """Return the least recall with which the floor alone stops a pair with ``SMALL_DOSE`` harmed answers in ``CAUGHT`` of trials.

    None: no recall suffices. 0.0 without a floor, because then a judge decides nothing where nothing is in production.
    """
    if bounds.floor is None:
        return 0.0
    alone = replace(bounds, margin=None)

    def caught(step: int) -> bool:
        found = shares(alone, dose=SMALL_DOSE, recall=step / _STEPS, false_alarms=false_alarms, trials=trials)
        return 1 - found.passed >= CAUGHT

    step = _first(caught, _STEPS)
    return step / _STEPS if step <= _STEPS else None


@cache
def strictest_floor(bounds: JudgeBounds, false_alarms: float, trials: int = TRIALS) -> float | None:
    """Return the highest floor, from that of ``bounds`` up in steps of 0.005, that alone passes a good pair as in ``TARGETS``.

    At a first release the floor decides alone, so it is as strict as the judge's false alarms allow; None: ``bounds`` has none.
    """
    if bounds.floor is None:
        return None
    floors = [step / 200 for step in range(200) if step / 200 > bounds.floor]
    alone = [JudgeBounds(cases=bounds.cases, margin=None, floor=floor) for floor in floors]
    return max(
        (found.floor for found in alone if found.floor and _equal_passes(found, false_alarms, trials)),
        default=bounds.floor,
    )


@cache
def most_false_alarms(bounds: JudgeBounds, trials: int = TRIALS) -> float:
    """Return the highest rate of false alarms, in steps of 0.001, at which an equal pair still passes as in ``TARGETS``."""
    low, high = 0, 500
    while low < high:
        middle = (low + high + 1) // 2
        if _equal_passes(bounds, middle / 1000, trials):
            low = middle
        else:
            high = middle - 1
    return low / 1000


def bounds_of(spec: JudgeSpec) -> JudgeBounds:
    """Return how the gate uses the judge's score."""
    return JudgeBounds(cases=GATE_CASES, margin=spec.margin, floor=spec.floor)


def recall_of_alarms(alarms: Interval, spec: JudgeSpec) -> float | None:
    """Return the recall that the gate needs of a judge with the measured false ``alarms``; None: none suffices.

    Beside production the margin decides, and the false alarms may be as many as the interval allows. At a first release the
    judge's own floor decides alone, and harm passes most easily when they are no more than measured.
    """
    assert alarms.high is not None
    beside = needed_recall(bounds_of(spec), rounded_up(alarms.high))
    alone = recall_for_first_release(bounds_of(gating_spec(spec, alarms)), rounded_up(alarms.value))
    return None if beside is None or alone is None else max(beside, alone)


def gating_spec(spec: JudgeSpec, alarms: Interval) -> JudgeSpec:
    """Return ``spec`` with the strictest floor that a good pair passes, by the false ``alarms`` that were measured."""
    assert alarms.high is not None
    return replace(spec, floor=strictest_floor(bounds_of(spec), rounded_up(alarms.high)))


def rounded_up(rate: float) -> float:
    """Return ``rate`` in whole thousandths, so that few simulations serve all records."""
    return math.ceil(rate * 1000) / 1000


def _equal_passes(bounds: JudgeBounds, false_alarms: float, trials: int) -> bool:
    return shares(bounds, dose=0.0, recall=0.0, false_alarms=false_alarms, trials=trials).passed >= EQUAL_PASSES


def _caught(bounds: JudgeBounds, recall: float, false_alarms: float, trials: int) -> bool:
    small = shares(bounds, dose=SMALL_DOSE, recall=recall, false_alarms=false_alarms, trials=trials)
    large = shares(bounds, dose=LARGE_DOSE, recall=recall, false_alarms=false_alarms, trials=trials)
    return 1 - small.passed >= CAUGHT and large.failed >= CAUGHT


def _share(values: _Booleans) -> float:
    return float(values.mean())


def _limits_by_gain(cases: int, margin: float, gained: _Counts) -> tuple[_Counts, _Counts]:
    """Return, per trial, the most lost cases with which the gate passes and the least with which it fails."""
    limits = {int(gain): _margin_limits(cases, margin, int(gain)) for gain in np.unique(gained)}
    return np.array([limits[int(gain)][0] for gain in gained]), np.array([limits[int(gain)][1] for gain in gained])


@cache
def _margin_limits(cases: int, margin: float, gained: int) -> tuple[int, int]:
    def verdict(lost: int) -> Verdict:
        difference = np.zeros(cases)
        difference[:gained], difference[gained : gained + lost] = 1.0, -1.0
        interval = rate_difference_interval(difference)
        assert interval.low is not None
        assert interval.high is not None
        return margin_verdict(interval.low, interval.high, margin)

    return _limits(verdict, cases - gained)


@cache
def _floor_limits(cases: int, floor: float) -> tuple[int, int]:
    def verdict(failures: int) -> Verdict:
        interval = rate_interval(cases - failures, cases)
        assert interval.low is not None
        assert interval.high is not None
        return floor_verdict(interval.low, interval.high, floor)

    return _limits(verdict, cases)


def _limits(verdict: Callable[[int], Verdict], most: int) -> tuple[int, int]:
    """Return the highest count that passes (-1: none) and the lowest that fails (``most + 1``: none)."""
    passes = _first(lambda count: verdict(count) is not Verdict.PASS, most) - 1
    return passes, _first(lambda count: verdict(count) is Verdict.FAIL, most)


def _first(holds: Callable[[int], bool], most: int) -> int:
    """Return the lowest count from 0 to ``most`` from which on ``holds``, ``most + 1`` if it never does."""
    low, high = 0, most + 1
    while low < high:
        middle = (low + high) // 2
        if holds(middle):
            high = middle
        else:
            low = middle + 1
    return high
