"""What an evaluation produces: scores, case results, metrics with intervals, gate checks and verdicts."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Literal

from service.task import TaskResult


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """One scorer's word on one case: a value with its rationale, or the reason why there is none (unscored is not zero).

    ``findings`` names what the value was lowered for, one short text each.
    """

    value: float | None
    rationale: str = ""
    findings: tuple[str, ...] = ()
    unscored: str | None = None

    def __post_init__(self) -> None:
        if (self.value is None) != (self.unscored is not None):
            raise ValueError("a score has a value or a reason for being unscored, not both and not neither")


ArmName = Literal["primary", "backup"]


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseResult:
    """One case answered (or failed) by one arm of one pair.

    ``live`` is False when the answer came from the call cache; ``measured_in`` is then the run whose call it was, so that a
    time is never mistaken for one of this run.
    """

    case_id: str
    arm: ArmName
    repeat: int
    result: TaskResult
    live: bool
    measured_in: str | None = None
    scores: dict[str, Score] = field(default_factory=dict)


class Unit(StrEnum):
    """How a metric is printed."""

    SCORE = "score"  # 0 to 100, as BLEU and chrF are printed
    RATE = "rate"  # 0 to 1
    MS = "ms"
    USD = "usd"
    WORDS = "words"


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """A figure over cases with its 95% interval; ``value`` is None when no case could be scored.

    ``n`` counts the cases behind it, ``unscored`` those that should have been and were not.
    """

    name: str
    unit: Unit
    higher_is_better: bool
    value: float | None
    low: float | None
    high: float | None
    n: int
    unscored: int = 0
    note: str = ""


class Verdict(StrEnum):
    """What a gate says; only ``pass`` is ever promoted."""

    PASS = "pass"  # noqa: S105 - a verdict
    FAIL = "fail"
    INCONCLUSIVE = "inconclusive"


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One gated comparison: a floor (against ``bound``) or no-worse-than-production (difference against ``-margin``).

    ``value``, ``low`` and ``high`` are the metric for a floor and the paired difference (candidate minus production, positive
    is better) for a comparison; a ``behaviour`` is a floor over what the running service did. ``reason``
    is why the bound is what it is; ``explanation`` says how the verdict came about.
    """

    kind: Literal["floor", "no_worse", "requirement", "behaviour"]
    metric: str
    unit: Unit
    bound: float
    value: float | None
    low: float | None
    high: float | None
    n: int
    verdict: Verdict
    reason: str
    explanation: str


NOT_MEASURED = "not measured"


def behaviour_verdict(checks: Iterable[Check]) -> str:
    """Return the worst verdict of the behaviour checks among ``checks``, or ``not measured`` when there are none."""
    verdicts = {check.verdict for check in checks if check.kind == "behaviour"}
    ordered = (Verdict.FAIL, Verdict.INCONCLUSIVE, Verdict.PASS)
    return next((verdict.value for verdict in ordered if verdict in verdicts), NOT_MEASURED)


@dataclass(frozen=True, slots=True, kw_only=True)
class GateResult:
    """All checks of one pair; the verdict is fail if any check fails, else inconclusive if any is, else pass."""

    pair_name: str
    pair_digest: str
    dataset_digest: str
    suite_digest: str
    baseline_digest: str | None
    checks: tuple[Check, ...]

    @property
    def verdict(self) -> Verdict:
        """The worst of all checks; a gate without checks is broken and fails."""
        verdicts = {check.verdict for check in self.checks}
        if not verdicts or Verdict.FAIL in verdicts:
            return Verdict.FAIL
        return Verdict.INCONCLUSIVE if Verdict.INCONCLUSIVE in verdicts else Verdict.PASS


@dataclass(frozen=True, slots=True, kw_only=True)
class PairResult:
    """Everything about one pair in one evaluation. ``metrics`` are the primary arm's, ``backup_metrics`` the backup's."""

    pair_name: str
    pair_version: str
    pair_digest: str
    model: str
    backup: str | None
    answered_by: tuple[str, ...]
    is_production: bool
    cases: tuple[CaseResult, ...]
    metrics: dict[str, Metric]
    gate: GateResult
    backup_metrics: dict[str, Metric] = field(default_factory=dict)
    deltas: dict[str, Metric] = field(default_factory=dict)
    seconds: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """One run of the harness: several pairs on one dataset under one suite."""

    run_id: str
    task: str
    environment: str
    started_at: str
    dataset_name: str
    dataset_digest: str
    suite_digest: str
    code_version: str
    case_count: int
    production_name: str | None
    production_version: int | None
    pairs: tuple[PairResult, ...]
    calls_live: int
    calls_cached: int
    seconds: float
    stand_in: str | None = None
