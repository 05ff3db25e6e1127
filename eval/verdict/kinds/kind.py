"""The interface of a kind of metric: measure one arm, compare two, and declare how reports treat it."""

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import ClassVar, Literal

import numpy as np

from eval.spine.cases import Case
from eval.spine.results import SHORT_OF_CPU, CaseResult
from eval.spine.suite import MetricSpec, Suite
from eval.verdict.paired import Test, cases_needed, cases_needed_for_rate, detectable, detectable_rate
from figures.arrays import Floats
from figures.stats import CONFIDENCE, Interval

# The axis of a sweep's chart that a figure belongs to.
Axis = Literal["quality", "cost", "latency"]
# Whether the two arms' model calls met the same load: made in turn in this run, at different times, or one makes none.
CallOrder = Literal["in turn", "apart", "no calls"]


# Of the calls' time; above it a latency says more about the machine than about the model.
_MOST_LAG = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Latencies:
    """Times in ms of requests whose model calls were live, never of cache hits, with the run that made the calls.

    ``by_case`` holds one time per repeat of each case, or per turn and repeat of each conversation. ``mixed`` is the number of
    requests that measure nothing, because their calls were made in several runs.
    """

    by_case: dict[str, list[float]]
    on_time: dict[str, float]
    measured_in: str | None  # None: this run
    mixed: int = 0
    lag_share: float = 0.0  # of these times, during which the harness itself was held up

    @property
    def count(self) -> int:
        """How many calls were timed."""
        return sum(len(values) for values in self.by_case.values())

    @property
    def most_of_a_case(self) -> int:
        """How many calls were timed of the case that has the most."""
        return max(map(len, self.by_case.values()), default=0)

    @property
    def note(self) -> str:
        """The footnote that names an earlier run, and counts the requests that measure nothing; "" without either."""
        notes = [f"measured in run {self.measured_in}; this run made no live model calls"] if self.measured_in else []
        if self.mixed:
            asked = self.mixed + self.count
            notes.append(f"{self.mixed} of {asked} left out, whose model calls are of several runs; --fresh times all")
        return "; ".join(notes)

    @property
    def starved(self) -> str:
        """What is said of times that are the machine's rather than the model's; "" where they are the model's."""
        if self.lag_share <= _MOST_LAG:
            return ""
        return f"{SHORT_OF_CPU}: {self.lag_share:.0%} of the time was the harness's own; measure on a quiet one, with --fresh"

    def table(self, case_ids: Sequence[str] | None = None) -> Floats:
        """Return the times, shape ``(n_cases, most repeats)``, NaN where a repeat was not timed."""
        rows = [self.by_case[name] for name in (self.by_case if case_ids is None else case_ids)]
        width = max(map(len, rows), default=0)
        return np.array([row + [math.nan] * (width - len(row)) for row in rows], dtype=float)


def live_latencies(results: Sequence[CaseResult], *, deadline_ms: int, minimum: int) -> Latencies:
    """Return this run's live latencies, or, when it made too few, those of the newest earlier run with ``minimum`` of them."""
    by_run: dict[str | None, dict[str, list[float]]] = {}
    lags: dict[str | None, float] = {}
    found = [(item.case_id, timing) for item in results for timing in item.each_timing]
    for case_id, timing in found:
        if timing.measures:
            by_run.setdefault(timing.measured_in, {}).setdefault(case_id, []).append(timing.ms)
            lags[timing.measured_in] = lags.get(timing.measured_in, 0.0) + min(timing.lag_ms, timing.ms)
    sizes = {run: sum(map(len, values.values())) for run, values in by_run.items()}
    best: str | None = None
    if sizes.get(None, 0) < minimum:
        # Run ids start with their time.
        best = max((run for run, size in sizes.items() if run is not None and size >= minimum), default=None)
    values = by_run.get(best, {})
    on_time = {name: sum(ms <= deadline_ms for ms in times) / len(times) for name, times in values.items()}
    mixed = sum(not timing.measures for _, timing in found)
    total = sum(sum(times) for times in values.values())
    share = lags.get(best, 0.0) / total if total else 0.0
    return Latencies(by_case=values, on_time=on_time, measured_in=best, mixed=mixed, lag_share=share)


@dataclass(frozen=True, kw_only=True)
class ArmAnswers:
    """One arm's answers to the cases, with the suite's settings for measuring them."""

    suite: Suite
    cases: Mapping[str, Case]
    results: Sequence[CaseResult]
    deadline_ms: int = 0
    confidence: float = CONFIDENCE

    @cached_property
    def latencies(self) -> Latencies:
        """The calls' times."""
        return live_latencies(self.results, deadline_ms=self.deadline_ms, minimum=self.suite.minimum_latency_calls)

    @cached_property
    def repeats(self) -> list[int]:
        """The numbers of the repeats, ascending."""
        return sorted({item.repeat for item in self.results})

    @cached_property
    def failed_cases(self) -> int:
        """The number of cases that the failed answers add up to."""
        return self.in_cases(sum(1 for item in self.results if item.result.failure is not None))

    def in_cases(self, answers: int) -> int:
        """Return the number of cases that ``answers`` add up to, rounded up: one of three repeats is a third of a case."""
        return math.ceil(answers * len({item.case_id for item in self.results}) / max(len(self.results), 1))

    def of_repeat(self, repeat: int) -> "ArmAnswers":
        """Return the answers of one repeat, with 95% confidence."""
        once = [item for item in self.results if item.repeat == repeat]
        return ArmAnswers(suite=self.suite, cases=self.cases, results=once, deadline_ms=self.deadline_ms)


@dataclass(frozen=True, slots=True, kw_only=True)
class ComparedAnswers:
    """The answers of a candidate (``ours``) and of production (``theirs``) to the same cases; ``gated`` metrics have margins."""

    suite: Suite
    cases: Mapping[str, Case]
    ours: Sequence[CaseResult]
    theirs: Sequence[CaseResult]
    timing: CallOrder
    confidence: float
    gated: frozenset[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """One arm's figure: its interval (None: no case was scored), the number of unscored cases, and a footnote."""

    interval: Interval | None
    unscored: int = 0
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """Candidate minus production; without an interval ``note`` says why, and ``comparable`` whether there could be one.

    ``yes_or_no`` holds the cases' differences of a yes-or-no score, for its own test and power. ``to_compare`` is the number of
    cases that should have been compared, None for all that both answered.
    """

    interval: Interval | None
    test: Test | None = None
    note: str = ""
    comparable: bool = True
    yes_or_no: Floats | None = None
    to_compare: int | None = None

    def turned(self) -> "Difference":
        """Return the difference with its sign reversed, for metrics of which less is better."""
        if self.interval is None:
            return self
        low = None if self.interval.high is None else -self.interval.high
        high = None if self.interval.low is None else -self.interval.low
        n, method = self.interval.n, self.interval.method
        interval = Interval(value=-self.interval.value, low=low, high=high, n=n, method=method)
        return replace(self, interval=interval)

    def reach(self, margin: float | None, confidence: float) -> tuple[float | None, int | None]:
        """Return the smallest drop that the cases detect, and how many cases detect a drop of ``margin``."""
        if self.interval is None:
            return None, None
        if self.yes_or_no is not None:
            shown = detectable_rate(self.yes_or_no, self.interval.n, confidence=confidence)
            needed = cases_needed_for_rate(self.yes_or_no, margin, confidence=confidence) if margin else None
            return shown, needed
        detected = detectable(self.interval, confidence=confidence)
        return detected, cases_needed(self.interval.n, detected, margin) if margin and detected is not None else None


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoredReference:
    """One reference scored as if it were an output against the remaining references; a score of None is unscored."""

    text: str
    references: tuple[str, ...]
    scores: Mapping[str, float | None]


class MetricKind(ABC):
    """One kind of metric. A new kind is a subclass with an entry in ``KINDS``; suites then use it by its name."""

    name: ClassVar[str]
    axis: ClassVar[Axis] = "quality"
    scores_cases: ClassVar[bool] = (
        False  # a scorer gives each answer a value, so that a report can show it case by case
    )
    yes_or_no: ClassVar[bool] = False  # the value of one answer is 0 or 1
    relative: ClassVar[bool] = False  # a difference is a share of production's figure

    @abstractmethod
    def measure(self, spec: MetricSpec, answers: ArmAnswers) -> Measured:
        """Return the figure of one arm's answers."""

    @abstractmethod
    def compare(self, spec: MetricSpec, answers: ComparedAnswers) -> Difference | None:
        """Return candidate minus production in the metric's own direction; None if the kind has no comparison."""

    def value_of(self, spec: MetricSpec, answers: ArmAnswers) -> float | None:
        """Return the figure of one repeat without an interval, to compare repeats; None if repeats are not comparable."""
        return None

    def ceiling(self, spec: MetricSpec, cases: Sequence[Sequence[ScoredReference]], seed: int) -> Interval | None:
        """Return the figure of references against each other, grouped by case; None if the kind uses no references."""
        return None

    def signature(self, spec: MetricSpec, references: Sequence[Sequence[str]]) -> str:
        """Return the library's signature of the computation, such as sacrebleu's; "" without one."""
        return ""
