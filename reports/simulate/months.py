"""Measures whether the weekly report names the figure, the first day and the cause of faults planted in simulated months.

A month is the report's week and the four before it. Its fault begins between the Friday before the week and its Thursday, so
that the report is the first that has four days of it or more.
"""

import os
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from reports.compare.weekly import WeeklyReport
from reports.read.metrics import COST, GUARD, HELPFUL, P95
from reports.read.weeks import Week
from reports.simulate.power import report_on, share_words
from reports.simulate.synthetic import Planted, PlantedFigure, Scenario

Cause = Literal["release", "candidate", "nothing of ours"]
WEEK = Week.parse("2026-W46")
WEEKS, NEAREST = 5, 3  # weeks of a month; days at least between a release and a fault that it did not cause
NEAR = 2  # days by which an onset may be off
TARGETS = {"figure": 0.95, "onset": 0.90, "cause": 0.95}
# Level of the fault, and the figures of the report that may come first: late answers of the digest are late and degraded.
_LEVELS: Mapping[PlantedFigure, tuple[float, float]] = {
    "helpful": (0.50, 0.70),
    "degraded": (0.06, 0.25),
    "degraded and late": (0.06, 0.25),
    "latency": (1.5, 2.5),
    "grounding": (0.12, 0.30),
    "cost": (1.4, 2.0),
}
_NAMES: Mapping[PlantedFigure, tuple[str, ...]] = {
    "helpful": (HELPFUL.name,),
    "degraded": ("degraded_rate",),
    "degraded and late": ("degraded_rate", P95.name),
    "latency": (P95.name, "latency_p50"),
    "grounding": (GUARD.name,),
    "cost": (COST.name,),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Month:
    """A simulated month with its fault and the fault's cause; both are None in a month without a change."""

    scenario: Scenario
    cause: Cause | None

    @property
    def fault(self) -> Planted | None:
        """What was planted."""
        return next(iter(self.scenario.planted), None)


def planned(seed: int, answers: int, *, equal: bool = False) -> Month:
    """Return a month; all that is drawn depends on ``seed`` alone.

    Two in five faults are a release's, two in five begin at least ``NEAREST`` days from any, and one in five strikes a candidate
    alone. Half of the other months have a candidate, too. Half of the faults in helpfulness and latency strike one intent.
    """
    rng = np.random.default_rng((seed, 3))
    began = float(rng.uniform(-3, 4))
    released = float(rng.choice([day for day in range(-14, 6) if abs(day - began) >= NEAREST])) + 0.4
    rollout = float(rng.uniform(-3, 4)) if seed % 2 else None
    if equal:
        return Month(scenario=_scenario(seed, answers, released, rollout), cause=None)
    causes: tuple[Cause, ...] = get_args(Cause)
    cause = causes[int(rng.choice(3, p=(0.4, 0.2, 0.4)))]
    figure: PlantedFigure = list(_LEVELS)[int(rng.integers(len(_LEVELS)))]
    low, high = _LEVELS[figure]
    level, place = float(rng.uniform(low, high)), {}
    if figure in ("helpful", "latency") and cause != "candidate" and rng.random() < 0.5:
        place = {"dimension": "intent", "value": ("billing", "outage", "payment_arrangement")[int(rng.integers(3))]}
    fault = Planted(figure=figure, level=level, day=began, by_candidate=cause == "candidate", **place)
    return Month(
        scenario=_scenario(
            seed, answers, began if cause == "release" else released, began if cause == "candidate" else rollout, fault
        ),
        cause=cause,
    )


def _scenario(seed: int, answers: int, released: float | None, candidate: float | None, *planted: Planted) -> Scenario:
    return Scenario(
        week=WEEK, weeks=WEEKS, answers=WEEKS * answers, seed=seed, release_day=released, candidate_day=candidate, planted=planted
    )  # fmt: skip


def told(month: Month, report: WeeklyReport) -> dict[str, bool]:
    """Return whether the report's first finding names the month's figure and slice, and its onset, and whom the advice blames."""
    fault = month.fault
    blamed = {action.short for action in report.actions} & {"roll back", "end the rollout"}
    if fault is None:
        return {"worse": bool(report.worse), "blamed": bool(blamed)}
    wanted = {"release": {"roll back"}, "candidate": {"end the rollout"}, "nothing of ours": set()}
    first = report.worse[0] if report.worse else None
    right = (
        first is not None
        and first.first is not None
        and first.metric.name in _NAMES[fault.figure]
        and (first.first.dimension, first.first.value) == (fault.dimension, fault.value)
    )
    since = first.since if first is not None else None
    return {
        "found": first is not None,
        "figure": right,
        "onset": since is not None and abs(since.day - int(np.floor(fault.day))) <= NEAR,
        "cause": first is not None and blamed == wanted[month.cause or ""],
    }


def measure(*, months: int, answers: int, first_seed: int = 0) -> Iterator[str | bool]:
    """Yield lines of text, then whether every target was met: what was told of ``months`` with a fault and as many without."""
    seeds = range(first_seed, first_seed + months)
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    yield f"{months} months with a planted fault, {answers:,} answers a week, a fifth of them rated:"
    found: list[tuple[str, dict[str, bool]]] = []
    for seed in seeds:
        month = planned(seed, answers)
        assert month.fault is not None
        about = f"{month.fault.figure}{' of one intent' if month.fault.dimension else ''}"
        found.append((about, told(month, report_on(month.scenario))))
    met = True
    for name, words in (
        ("figure", "right figure first"),
        ("onset", f"onset within {NEAR} days"),
        ("cause", "right cause"),
    ):
        right = sum(said[name] for _, said in found)
        met = met and right >= TARGETS[name] * months
        yield f"  {words}: {share_words(right, months)}, wanted {TARGETS[name]:.2f}"
    for about, count in sorted(Counter(about for about, _ in found).items()):
        of_it = [said for name, said in found if name == about]
        told_of = ", ".join(f"{name} {sum(said[name] for said in of_it)}" for name in ("found", *TARGETS))
        yield f"    of {count} with {about}: {told_of}"
    quiet = [told(month, report_on(month.scenario)) for month in (planned(seed, answers, equal=True) for seed in seeds)]
    blamed = sum(said["blamed"] for said in quiet)
    yield f"{months} months without a change, with a release and, in half of them, a rollout:"
    yield f"  release or candidate blamed: {share_words(blamed, months)}, wanted none"
    yield f"  anything called worse: {share_words(sum(said['worse'] for said in quiet), months)}"
    yield met and blamed == 0
