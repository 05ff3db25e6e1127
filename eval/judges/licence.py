"""A judge's licence: the kinds of harm that it sees well enough, on the contrast sets, for the gate to rely on it.

What is enough follows from the gate (``eval/verdict/needed_recall.py``). Abstentions count as misses. A licence holds for one
judge digest, one answering model, one version of the contrast sets and of the labelled claims.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from eval.judges.calibration import Calibration, interval_text
from eval.judges.contrasts import ContrastMeasure
from eval.spine.judge_spec import JudgeSpec
from eval.verdict.needed_recall import EQUAL_PASSES, GATE_CASES, JudgeBounds, most_false_alarms, needed_recall
from figures.command_line import omni
from figures.stats import Interval

LEAST_COVERAGE = 0.9


@dataclass(frozen=True, slots=True, kw_only=True)
class LicenceTerms:
    """What a licence must have been measured on: the digests as they are now."""

    task: str
    set_digest: str | None
    claims_digest: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class KindLicence:
    """One kind: the measured ``recall`` (None: no edit of this kind was asked about), the needed one, and whether it suffices."""

    kind: str
    recall: Interval | None
    needed: float
    licensed: bool

    def __str__(self) -> str:
        n = 0 if self.recall is None else self.recall.n
        return f"{self.kind} {interval_text(self.recall)} on n={n}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Licence:
    """The result: every kind of the suite with its figures, or in ``refused`` why there is no licence for any."""

    kinds: tuple[KindLicence, ...] = ()
    refused: str = ""

    @property
    def licensed(self) -> tuple[str, ...]:
        """The names of the kinds that the judge is licensed for."""
        return tuple(item.kind for item in self.kinds if item.licensed)

    @property
    def shortfall(self) -> str:
        """Why the judge may not gate; "" when it is licensed for a kind."""
        if self.refused or self.licensed:
            return self.refused
        needed = self.kinds[0].needed if self.kinds else 1.0
        return f"no kind reaches the needed recall of {needed:.2f} with its interval's low end: {_listed(self.kinds)}"

    @property
    def summary(self) -> str:
        """The licensed kinds with their figures, in a sentence; "" without any."""
        granted = [item for item in self.kinds if item.licensed]
        return f"recall at least {granted[0].needed:.2f} for {_listed(granted)}" if granted else ""


def bounds_of(spec: JudgeSpec) -> JudgeBounds:
    """Return how the gate uses the judge's score."""
    return JudgeBounds(cases=GATE_CASES, margin=spec.margin, floor=spec.floor)


def licence(record: Calibration | None, spec: JudgeSpec, terms: LicenceTerms, *, answered_by: str = "") -> Licence:
    """Return the licence that ``record`` gives.

    Args:
        record: of the judge's present digest; None when there is none.
        spec: its kinds and bounds in the suite.
        terms: the digests as they are now.
        answered_by: what answered in this run; "" before anything answered.
    """
    found = None if record is None else record.contrasts
    reason = outdated(record, spec, terms, answered_by)
    if reason:
        return Licence(refused=f"{reason}; run {omni('calibrate', '--judge', spec.rubric, task=terms.task)}")
    assert found is not None
    reason = _insufficient(found, spec)
    if reason:
        return Licence(refused=reason)
    assert found.false_alarms is not None
    assert found.false_alarms.high is not None
    needed = needed_recall(bounds_of(spec), _rounded_up(found.false_alarms.high))
    if needed is None:
        return Licence(refused="no recall suffices with the suite's floor and margin; give the judge another margin")
    return Licence(kinds=tuple(_kind(name, found, needed) for name in spec.kinds))


def _kind(name: str, found: ContrastMeasure, needed: float) -> KindLicence:
    measured = found.kind(name)
    recall = None if measured is None else measured.rate
    licensed = recall is not None and recall.low is not None and recall.low >= needed
    return KindLicence(kind=name, recall=recall, needed=needed, licensed=licensed)


def outdated(record: Calibration | None, spec: JudgeSpec, terms: LicenceTerms, answered_by: str = "") -> str:
    """Return why the measurement does not hold any more, or never was; "" if it holds."""
    found = None if record is None else record.contrasts
    if record is None:
        return "never measured with this prompt and model"
    if terms.set_digest is None:
        return "the task has no contrast sets to measure it on"
    if found is None:
        return "not measured on the contrast sets"
    if found.set_digest != terms.set_digest:
        return "measured on contrast sets that have changed since"
    if spec.asks_claims and found.claims_digest != terms.claims_digest:
        return "measured with labelled claims that have changed since"
    if spec.asks_claims and found.max_undecided != spec.max_undecided:
        return f"measured with another bound on undecided items ({found.max_undecided:g})"
    if answered_by and record.answered_by != answered_by:
        return f"measured on answers of {record.answered_by or 'no model'}, but {answered_by} answered here"
    return ""


def _insufficient(found: ContrastMeasure, spec: JudgeSpec) -> str:
    """Return what in the figures rules out a licence for any kind; "" if nothing does."""
    coverage, alarms = found.coverage, found.false_alarms
    if coverage is None or coverage.value < LEAST_COVERAGE:
        return f"it decides only {interval_text(coverage)} of the texts, needed {LEAST_COVERAGE:.2f}"
    if alarms is None or alarms.high is None:
        return "its false alarms were not measured"
    most = most_false_alarms(bounds_of(spec))
    if _rounded_up(alarms.high) > most:
        return (
            f"false alarms {interval_text(alarms)} over {alarms.n} cases: above {most:.3f} an equal pair passes less than "
            f"{EQUAL_PASSES:.0%} of the time, and the interval must end below that"
        )
    return ""


def _rounded_up(rate: float) -> float:
    """Return ``rate`` in whole thousandths, so that few simulations serve all records."""
    return math.ceil(rate * 1000) / 1000


def _listed(kinds: Sequence[KindLicence]) -> str:
    return ", ".join(map(str, kinds)) or "none"
