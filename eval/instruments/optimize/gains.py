"""What a search found: the Pareto set, and each member's gain on three sets of cases with what separates the first two."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from eval.instruments.optimize.quality import MeasuredAnswer
from eval.instruments.optimize.search import PromptCandidate, PromptSearch
from figures.stats import CONFIDENCE, Interval, mean_interval

MOST_FINALISTS = 4  # as many are asked on unseen cases; the intervals there are widened for them
_SAME_LATENCY = 1.1  # times: measured once each, latencies that differ by less are the same
_SEED = 20261125  # of the bootstrap


@dataclass(frozen=True, slots=True, kw_only=True)
class FrontFigures:
    """A candidate's figures on a set of cases: mean quality (0 to 1), USD of an answer without a cache, median ms, mean words."""

    quality: float
    cost_usd: float
    ms: float
    words: float

    @classmethod
    def of(cls, answers: Sequence[MeasuredAnswer]) -> "FrontFigures":
        """Return the figures of ``answers``, at least one."""
        return cls(
            quality=float(np.mean([answer.quality for answer in answers])),
            cost_usd=float(np.mean([float(answer.cold_usd) for answer in answers])),
            ms=float(np.median([answer.ms for answer in answers])),
            words=float(np.mean([answer.words for answer in answers])),
        )

    @property
    def key(self) -> tuple[float, ...]:
        """The figures, more is better; latencies in steps of a tenth."""
        step = math.floor(math.log(max(self.ms, 0.1)) / math.log(_SAME_LATENCY))
        return (round(self.quality, 9), -round(self.cost_usd, 12), -float(step), -round(self.words, 6))


def front(candidates: Sequence[PromptCandidate]) -> tuple[PromptCandidate, ...]:
    """Return the measured candidates that no other beats: as good in quality, cost, latency and words, and better in one."""
    measured = [found for found in candidates if found.own]
    keys = {found.number: FrontFigures.of(found.own).key for found in measured}
    return tuple(
        found
        for found in measured
        if not any(
            key != keys[found.number] and all(a >= b for a, b in zip(key, keys[found.number], strict=True))
            for key in keys.values()
        )
    )


def finalists(search: PromptSearch) -> tuple[PromptCandidate, ...]:
    """Return the members of the Pareto set that are measured on unseen cases: the best few on the search's half, no start."""
    members = [found for found in front(search.candidates) if found.number]
    return tuple(sorted(members, key=lambda found: (-found.quality, found.number))[:MOST_FINALISTS])


def gain(
    candidate: Sequence[MeasuredAnswer], start: Sequence[MeasuredAnswer], *, confidence: float = CONFIDENCE
) -> Interval:
    """Return the mean difference in quality on the same cases with its interval; both in one order of cases."""
    pairs = zip(candidate, start, strict=True)
    return mean_interval(
        np.array([ours.quality - theirs.quality for ours, theirs in pairs]),
        seed=_SEED,
        confidence=confidence,
        bounds=(-1.0, 1.0),
    )


def overfit(own: Interval, other: Interval) -> Interval:
    """Return the gain on the search's half minus that on the other one: what the search learned of its own cases alone.

    The halves share no case, so the two errors are independent and their squares add up.
    """
    value, n = own.value - other.value, min(own.n, other.n)
    if own.low is None or own.high is None or other.low is None or other.high is None:
        return Interval(value=value, low=None, high=None, n=n)
    return Interval(
        value=value,
        low=value - math.hypot(own.value - own.low, other.high - other.value),
        high=value + math.hypot(own.high - own.value, other.value - other.low),
        n=n,
        method="independent halves",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Finalist:
    """A member of the Pareto set with its gains over the start; ``gate`` is None as long as the gate did not measure it.

    ``own`` is what the search saw and chose by, so it promises too much. ``other`` is measured on cases that it never saw, and
    its interval holds for all finalists together.
    """

    candidate: PromptCandidate
    point: FrontFigures
    own: Interval
    other: Interval
    overfit: Interval
    gate: Interval | None = None
    gate_verdict: str = ""
    name: str = ""

    @property
    def shown(self) -> bool:
        """Whether the gain on unseen cases is above zero, by the whole interval."""
        return self.other.low is not None and self.other.low > 0


def measured(
    found: Sequence[PromptCandidate],
    start_own: Sequence[MeasuredAnswer],
    start_other: Sequence[MeasuredAnswer],
    other: Mapping[int, Sequence[MeasuredAnswer]],
) -> tuple[Finalist, ...]:
    """Return the finalists with both gains; ``other`` has their answers to the other half by number.

    Whoever reads the table takes the best of it, so the intervals on unseen cases hold for all together (Bonferroni).
    """
    confidence = 1 - (1 - CONFIDENCE) / max(len(found), 1)
    rows = []
    for candidate in found:
        own = gain(candidate.own, start_own)
        unseen = gain(other[candidate.number], start_other, confidence=confidence)
        rows.append(
            Finalist(
                candidate=candidate,
                point=FrontFigures.of(candidate.own),
                own=own,
                other=unseen,
                overfit=overfit(own, unseen),
            )
        )
    return tuple(rows)


def offered(rows: Sequence[Finalist]) -> Finalist | None:
    """Return the finalist whose gain on unseen cases is the surest, or None where no gain is shown."""
    shown = [row for row in rows if row.shown]
    return max(shown, key=lambda row: (row.other.low or 0.0, -row.candidate.number), default=None)
