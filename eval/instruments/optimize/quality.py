"""What a search counts as quality: the mean of what the task's gate bounds, for one answer, and what was wrong, in words."""

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from decimal import Decimal
from typing import Any

from eval.spine.cases import Case
from eval.spine.errors import OptimizeError
from eval.spine.results import CaseResult, QuotingFinding, Score
from eval.spine.suite import MetricSpec, Suite
from eval.verdict.kinds import kind_of
from eval.verdict.kinds.kind import ArmAnswers
from figures.metric import Unit

_SCORED = frozenset({"mean", "rate", "never"})  # kinds whose score is of a single answer
_SHARE = (0.0, 1.0)  # bounds of a pooled figure that is a share of one case's counts as well; a kappa is none
_QUOTE = re.compile(r"""["`‘“«]|(?<!\w)'""")  # where a quotation begins; an apostrophe stands behind a letter
_WORD = re.compile(r"\w+")
_SHARED_WORDS = 3  # in a row with a case or an answer: what so many words say, somebody wrote
_LONGEST_NOTE = 160
_NOT_SCORED = Score(value=None, unscored="not scored")


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasuredAnswer:
    """One scored answer. ``quality`` is 0 to 1, 0 for an answer that failed; ``notes`` say what was wrong, see ``told``.

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
    def from_plain(cls, raw: Mapping[str, Any]) -> "MeasuredAnswer":
        """Rebuild it from ``plain()``."""
        money = {name: Decimal(raw[name]) for name in ("cost_usd", "cold_usd")}
        return cls(**{**raw, "notes": tuple(raw["notes"]), **money})


@dataclass(frozen=True, slots=True, kw_only=True)
class Quality:
    """The figures that make up the quality, as the suite's metrics define them, each taken of a single answer."""

    suite: Suite
    specs: tuple[MetricSpec, ...]

    @classmethod
    def of_suite(cls, suite: Suite, name: str | None = None) -> "Quality":
        """Return what ``suite`` bounds, or its metric ``name`` alone.

        Raises:
            OptimizeError: there is no such metric, or none that a single answer has.
        """
        usable = [spec for spec in suite.metrics if _of_one_answer(spec, suite)]
        bounded = {floor.metric for floor in suite.floors} | {gate.metric for gate in suite.no_worse}
        chosen = [spec for spec in usable if (spec.name in bounded if name is None else spec.name == name)]
        if not chosen:
            known = ", ".join(spec.name for spec in usable) or "none"
            raise OptimizeError(f"task {suite.task!r} has no score {name or ''!r} to search with; use one of: {known}")
        return cls(suite=suite, specs=tuple(chosen))

    @property
    def names(self) -> tuple[str, ...]:
        """The names of its metrics."""
        return tuple(spec.name for spec in self.specs)

    def of(self, item: CaseResult, case: Case) -> MeasuredAnswer:
        """Return the answer's quality with its reasons; ``case`` is the one that it answers."""
        result, scores = item.result, {}
        notes: list[str] = []
        if result.failure is not None:
            notes.append(
                f"no valid answer: {told(result.failure_message or result.failure.value, case, result.raw_text)}"
            )
        else:
            for spec in self.specs:
                score = item.scores.get(spec.score, _NOT_SCORED)
                figure = self._pooled(spec, item, case) if spec.kind == "pooled" else score.value
                if figure is None or math.isnan(figure):
                    continue  # the case leaves nothing to score
                scores[spec.name] = value = _value(spec, figure)
                if value < 1:
                    notes += [
                        f"{spec.name} is {value:.2f}{found}" for found in _findings(score, case, result.output or "")
                    ]
        cost = result.cost
        return MeasuredAnswer(
            case_id=item.case_id,
            quality=sum(scores.values()) / len(scores) if scores else 0.0,
            scores=scores,
            notes=tuple(dict.fromkeys(notes)),
            words=len((result.output or "").split()),
            ms=round(result.request_ms, 3),
            cost_usd=Decimal(0) if cost is None else cost.metered_usd,
            cold_usd=Decimal(0) if cost is None else cost.cold_usd,
        )

    def _pooled(self, spec: MetricSpec, item: CaseResult, case: Case) -> float | None:
        return kind_of(spec).value_of(spec, ArmAnswers(suite=self.suite, cases={case.id: case}, results=[item]))


def _of_one_answer(spec: MetricSpec, suite: Suite) -> bool:
    if spec.kind == "pooled":
        return suite.pools[spec.score].bounds == _SHARE
    return spec.kind in _SCORED and spec.unit in (Unit.RATE, Unit.EVENTS)


def _value(spec: MetricSpec, value: float) -> float:
    """Return a figure as 0 to 1, more is better; an event that must not happen makes it 0."""
    if spec.kind == "never":
        return 0.0 if value > 0 else 1.0
    kept = min(max(value, 0.0), 1.0)
    return kept if spec.higher_is_better else 1 - kept


def _findings(score: Score, case: Case, output: str) -> list[str]:
    return [f": {told(finding, case, output)}" for finding in score.findings] or [""]


def told(finding: str, case: Case, output: str) -> str:
    """Return a finding without what a customer or a model may have written, so that no order in it reaches another model.

    A label's own words stay, because the author of the case wrote them. Of other findings all is dropped from the first quotation
    mark on, and every row of three words that stands in the case's inputs or in the answer.
    """
    if finding in set(texts_in(case.expectations.model_dump(mode="json"))):
        return " ".join(finding.split())[:_LONGEST_NOTE]
    text = finding.head if isinstance(finding, QuotingFinding) else finding
    words = _QUOTE.split(text, maxsplit=1)[0].split()
    written = set(_rows(" ".join(texts_in(case.inputs)))) | set(_rows(output))
    hidden: set[int] = set()
    for place in range(len(words) - _SHARED_WORDS + 1):
        row = words[place : place + _SHARED_WORDS]
        if written.intersection(_rows(" ".join(row))):
            hidden.update(range(place, place + _SHARED_WORDS))
    shown = ["…" if place in hidden else word for place, word in enumerate(words)]
    return re.sub(r"(… ?)+", "… ", " ".join(shown)).strip()[:_LONGEST_NOTE]


def _rows(text: str) -> list[tuple[str, ...]]:
    words = [word.lower() for word in _WORD.findall(text)]
    return [tuple(words[place : place + _SHARED_WORDS]) for place in range(len(words) - _SHARED_WORDS + 1)]


def texts_in(value: Any) -> Iterator[str]:
    """Return every text in plain JSON types, at any depth."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for inner in value.values():
            yield from texts_in(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from texts_in(inner)
