"""A judge's licence: the classes of harm that it sees well enough for the gate to rely on it.

What is enough follows from the gate (``eval/verdict/needed_recall.py``). A class needs the low end of its recall over all its
edits; a kind alone has too few edits for that, so a kind gives a warning, and is left out only where it is certainly not seen.
Abstentions count as misses. A licence holds for one judge digest, one answering model, one version of the contrast sets and of
the labelled claims, for this quarter's or the last one's held edits, and in a run only with what ``eval/judges/in_place.py``
measured on that run's own answers.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

from eval.judges.calibration import Calibration, interval_text
from eval.judges.contrasts import ClassMeasure, ContrastMeasure
from eval.labels.claims.labels import claims_digest
from eval.labels.contrasts.sets import contrasts_digest
from eval.spine.judge_spec import HARM_CLASSES, JudgeSpec
from eval.spine.suite import Suite
from eval.verdict.needed_recall import EQUAL_PASSES, bounds_of, most_false_alarms, recall_of_alarms, rounded_up
from figures.command_line import omni
from figures.stats import Interval, rate_interval
from service.kit.frame.clock import wall_clock
from service.kit.settings import Settings

LEAST_COVERAGE = 0.9
LEAST_EDITS = 150  # of a class; a third of them made after the judge was fixed


@dataclass(frozen=True, slots=True, kw_only=True)
class LicenceTerms:
    """What a licence must have been measured on, as it is now: digests, the class of each kind, and quarters, newest first."""

    task: str
    set_digest: str | None
    claims_digest: str | None
    classes: Mapping[str, str] = field(default_factory=dict)
    quarters: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassLicence:
    """One class of harm: what was ``measured`` (None: nothing), the ``needed`` recall, and why it is ``missing``."""

    name: str
    measured: ClassMeasure | None
    needed: float
    missing: str = ""

    @property
    def licensed(self) -> bool:
        """Whether the judge may be relied on for this class."""
        return not self.missing

    def __str__(self) -> str:
        found = self.measured
        return f"{self.name} {interval_text(found.recall if found else None)} on n={found.n if found else 0}"


@dataclass(frozen=True, slots=True, kw_only=True)
class KindLicence:
    """One kind: the measured ``recall`` (None: no edit of this kind was asked about), and a ``warning`` where it is not sure."""

    kind: str
    harm_class: str
    recall: Interval | None
    licensed: bool
    warning: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Licence:
    """The result: every class and kind of the suite with its figures, or in ``refused`` why there is no licence for any."""

    classes: tuple[ClassLicence, ...] = ()
    kinds: tuple[KindLicence, ...] = ()
    refused: str = ""

    @property
    def licensed(self) -> tuple[str, ...]:
        """The names of the kinds that the judge is licensed for."""
        return tuple(item.kind for item in self.kinds if item.licensed)

    @property
    def whole(self) -> bool:
        """Whether the judge is licensed for every class that it was asked about."""
        return not self.refused and all(item.licensed for item in self.classes)

    def only(self, classes: tuple[ClassLicence, ...]) -> "Licence":
        """Return this licence with ``classes`` in place of its own; a kind whose class is no longer licensed goes with it."""
        gone = {item.name for item in classes if not item.licensed}
        kinds = tuple(replace(item, licensed=item.licensed and item.harm_class not in gone) for item in self.kinds)
        return replace(self, classes=classes, kinds=kinds)

    @property
    def warnings(self) -> tuple[str, ...]:
        """What the figures of single kinds leave open."""
        return tuple(f"{item.kind}: {item.warning}" for item in self.kinds if item.warning)

    @property
    def shortfall(self) -> str:
        """Why the judge may not gate; "" when it is licensed for a kind."""
        if self.refused or self.licensed:
            return self.refused
        needed = self.classes[0].needed if self.classes else 1.0
        missing = "; ".join(f"{item}: {item.missing}" for item in self.classes) or "none was measured"
        return f"no class of harm reaches the needed recall of {needed:.2f} with its interval's low end: {missing}"

    @property
    def summary(self) -> str:
        """The licensed classes with their figures, in a sentence; "" without any."""
        granted = [item for item in self.classes if item.licensed]
        return f"recall at least {granted[0].needed:.2f} for {', '.join(map(str, granted))}" if granted else ""


def classes_by_kind(suite: Suite) -> dict[str, str]:
    """Return the class of each kind of harm that only a judge sees."""
    return {kind.name: kind.harm_class for kind in suite.judged_only}


def quarter_of(moment: datetime) -> str:
    """Return the calendar quarter, such as ``2026-Q4``."""
    return f"{moment.year}-Q{(moment.month + 2) // 3}"


def terms_of(suite: Suite, settings: Settings, spec: JudgeSpec | None = None) -> LicenceTerms:
    """Return the terms of today, for the judge ``spec`` of the suite, who may be measured on another task's contrast sets.

    A measurement holds through the quarter that follows it, so that a new quarter stops no release overnight.
    """
    now = wall_clock(settings.clock_file)()
    before = datetime(now.year - (now.month <= 3), (now.month - 4) % 12 + 1, 1, tzinfo=now.tzinfo)
    return LicenceTerms(
        task=suite.task,
        set_digest=contrasts_digest(settings.datasets_dir, (spec and spec.measured_on) or suite.task),
        claims_digest=claims_digest(settings.datasets_dir, suite.task),
        classes=classes_by_kind(suite),
        quarters=(quarter_of(now), quarter_of(before)),
    )


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
    needed = recall_needed(found, spec)
    if needed is None:
        return Licence(refused="no recall suffices with the suite's floor and margin; give the judge another margin")
    of_kinds = (terms.classes[kind] for kind in spec.kinds if kind in terms.classes)
    # A sentence counts as read only if the reader sees whatever may be wrong with one, whether or not the suite names it.
    names = dict.fromkeys([*(HARM_CLASSES if spec.reads else ()), *of_kinds])
    classes = tuple(_class(name, found, needed) for name in names)
    granted = {item.name for item in classes if item.licensed}
    kinds = tuple(_kind(kind, terms.classes.get(kind, ""), found, needed, granted) for kind in spec.kinds)
    return Licence(classes=classes, kinds=kinds)


def recall_needed(found: ContrastMeasure, spec: JudgeSpec) -> float | None:
    """Return the recall that the gate needs of a judge with these false alarms; None: none suffices."""
    assert found.false_alarms is not None
    return recall_of_alarms(found.false_alarms, spec)


def _class(name: str, found: ContrastMeasure, needed: float) -> ClassLicence:
    measured = found.of_class(name)
    missing = "no edit of this class was asked about"
    if measured is not None:
        low = measured.recall.low
        missing = "" if low is not None and low >= needed else _how_near(measured.recall, needed)
        if measured.n < LEAST_EDITS:
            missing = f"{measured.n} edits of at least {LEAST_EDITS}"
        elif 3 * measured.held < measured.n:
            missing = (
                f"only {measured.held} of {measured.n} edits were made after the judge was fixed, a third is needed"
            )
    return ClassLicence(name=name, measured=measured, needed=needed, missing=missing)


def _how_near(recall: Interval, needed: float) -> str:
    """Return how many percentage points of recall are missing, as the interval is wide now."""
    cases, step = recall.n, 1.0
    seen = recall.value * cases
    while seen < cases and (rate_interval(seen, cases).low or 0.0) < needed:
        seen = min(seen + step, cases)
    points = 100 * (seen / cases - recall.value)
    return f"{points:.0f} points of recall too few (on {cases} cases it takes {seen / cases:.2f})"


def _kind(name: str, harm_class: str, found: ContrastMeasure, needed: float, granted: Collection[str]) -> KindLicence:
    measured, of_class = found.kind(name), harm_class in granted
    if measured is None:
        warning = "no edit of this kind was asked about"
        return KindLicence(kind=name, harm_class=harm_class, recall=None, licensed=of_class, warning=warning)
    recall, warning = measured.rate, ""
    blind = recall.high is not None and recall.high < needed
    if blind:
        warning = f"recall {interval_text(recall)} on n={measured.n} is certainly below {needed:.2f}: not looked at"
    elif recall.low is None or recall.low < needed:
        warning = f"recall {interval_text(recall)} on n={measured.n} may be below {needed:.2f}"
    return KindLicence(
        kind=name, harm_class=harm_class, recall=recall, licensed=of_class and not blind, warning=warning
    )


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
    if found.quarter not in terms.quarters:
        return f"measured with held edits of {found.quarter or 'no quarter'}, which are changed each quarter"
    if answered_by and record.answered_by != answered_by:
        return f"measured on answers of {record.answered_by or 'no model'}, but {answered_by} answered here"
    return ""


def _insufficient(found: ContrastMeasure, spec: JudgeSpec) -> str:
    """Return what in the figures rules out a licence for any class; "" if nothing does."""
    coverage, alarms = found.coverage, found.false_alarms
    if coverage is None or coverage.value < LEAST_COVERAGE:
        return f"it decides only {interval_text(coverage)} of the texts, needed {LEAST_COVERAGE:.2f}"
    if alarms is None or alarms.high is None:
        return "its false alarms were not measured"
    most = most_false_alarms(bounds_of(spec))
    if rounded_up(alarms.high) > most:
        return (
            f"false alarms {interval_text(alarms)} over {alarms.n} cases: above {most:.3f} an equal pair passes less than "
            f"{EQUAL_PASSES:.0%} of the time, and the interval must end below that"
        )
    return ""
