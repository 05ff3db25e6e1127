"""What a search counts as quality: the mean of the scores that the task's gate bounds, and what was wrong, in words."""

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from decimal import Decimal
from typing import Any

from eval.spine.errors import OptimizeError
from eval.spine.results import CaseResult, QuotingFinding, Score
from eval.spine.suite import MetricSpec, Suite
from figures.metric import Unit

_SCORED = frozenset({"mean", "rate", "never"})  # kinds whose score is of a single answer
_QUOTED = re.compile(r"""(["'`‘“«]).+?["'`’”»]""", re.DOTALL)
_LONGEST_NOTE = 160


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """One scored answer. ``quality`` is 0 to 1, 0 for an answer that failed; ``notes`` quote neither the case nor the answer.

    ``cost_usd`` is what it was billed, ``cold_usd`` what it costs without a prompt cache; ``ms`` is its latency.
    """

    case_id: str
    quality: float
    scores: Mapping[str, float] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    words: int = 0
    ms: float = 0.0
    cost_usd: Decimal = Decimal(0)
    cold_usd: Decimal = Decimal(0)

    def plain(self) -> dict[str, Any]:
        """Return it as plain JSON types."""
        return asdict(self) | {"cost_usd": str(self.cost_usd), "cold_usd": str(self.cold_usd)}

    @classmethod
    def from_plain(cls, raw: Mapping[str, Any]) -> "Answer":
        """Rebuild it from ``plain()``."""
        money = {name: Decimal(raw[name]) for name in ("cost_usd", "cold_usd")}
        return cls(**{**raw, "notes": tuple(raw["notes"]), **money})


@dataclass(frozen=True, slots=True, kw_only=True)
class Quality:
    """The scores that make up the quality, as the suite's metrics define them."""

    specs: tuple[MetricSpec, ...]

    @classmethod
    def of_suite(cls, suite: Suite, name: str | None = None) -> "Quality":
        """Return what ``suite`` bounds, or its metric ``name`` alone.

        Raises:
            OptimizeError: there is no such metric, or none that is a score of a single answer.
        """
        usable = [spec for spec in suite.metrics if spec.kind in _SCORED and spec.unit in (Unit.RATE, Unit.EVENTS)]
        bounded = {floor.metric for floor in suite.floors} | {gate.metric for gate in suite.no_worse}
        chosen = [spec for spec in usable if (spec.name in bounded if name is None else spec.name == name)]
        if not chosen:
            known = ", ".join(spec.name for spec in usable) or "none"
            raise OptimizeError(f"task {suite.task!r} has no score {name or ''!r} to search with; use one of: {known}")
        return cls(specs=tuple(chosen))

    @property
    def names(self) -> tuple[str, ...]:
        """The names of its metrics."""
        return tuple(spec.name for spec in self.specs)

    def of(self, item: CaseResult) -> Answer:
        """Return the answer's quality with its reasons."""
        result, scores = item.result, {}
        notes: list[str] = []
        if result.failure is not None:
            notes.append(f"no valid answer: {without_quotes(result.failure_message) or result.failure.value}")
        else:
            for spec in self.specs:
                score = item.scores.get(spec.score)
                if score is None or score.value is None:
                    continue
                scores[spec.name] = value = _value(spec, score.value)
                if value < 1:
                    notes += _notes(spec.name, value, score)
        cost = result.cost
        return Answer(
            case_id=item.case_id,
            quality=sum(scores.values()) / len(scores) if scores else 0.0,
            scores=scores,
            notes=tuple(dict.fromkeys(notes)),
            words=len((result.output or "").split()),
            ms=round(result.request_ms, 3),
            cost_usd=Decimal(0) if cost is None else cost.metered_usd,
            cold_usd=Decimal(0) if cost is None else cost.cold_usd,
        )


def _value(spec: MetricSpec, value: float) -> float:
    """Return a score as 0 to 1, more is better; an event that must not happen makes it 0."""
    if spec.kind == "never":
        return 0.0 if value > 0 else 1.0
    kept = min(max(value, 0.0), 1.0)
    return kept if spec.higher_is_better else 1 - kept


def _notes(name: str, value: float, score: Score) -> list[str]:
    told = [without_quotes(finding) for finding in score.findings] or [""]
    return [f"{name} is {value:.2f}{f': {one}' if one else ''}" for one in told]


def without_quotes(finding: str) -> str:
    """Return a finding without what it quotes: an answer may repeat whatever a customer wrote."""
    text = finding.head if isinstance(finding, QuotingFinding) else finding
    return " ".join(_QUOTED.sub("(quoted)", text).split())[:_LONGEST_NOTE]
