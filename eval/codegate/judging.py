"""Judges the branch's answers against the base's on the same cases: no gated figure may be worse by more than its margin."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from textwrap import shorten
from typing import Any

from pydantic import TypeAdapter

from eval.codegate.answers import ANSWERS, SHOWN_BAD, AnsweredCase, SideAnswers
from eval.run.loaders import load_gate
from eval.run.scoring import score_one
from eval.spine.cases import Case
from eval.spine.results import CaseResult, Score, Verdict, sentences_of
from eval.spine.suite import MetricSpec, NoWorse, Suite
from eval.suites import load_suite
from eval.verdict.deltas import build_deltas
from eval.verdict.gate import margin_verdict
from eval.verdict.metrics import build_metrics
from figures.metric import Unit
from service.core.run.task import load_task
from service.kit.frame.errors import FailureCode
from service.kit.settings import Settings

KEPT = "shown_as_written"
# What a machine under load measures is no property of the code; the load and latency tests measure it.
_NOT_COMPARED = frozenset({"latency", "on_time"})
# Kinds of figures that say how much is told. Of faulty answers less may be shown, and a digest in their place: only harm counts.
_HOW_MUCH = frozenset({"corpus", "mean"})
_KEPT_MARGIN = 0.05
_ANSWERED, _ANSWERED_MARGIN = "answered", 0.02
_SHOWN = 3  # answers of a part that are shown in the words of both sides
_SHOWN_CHARS = 600


@dataclass(frozen=True, slots=True, kw_only=True)
class CodeFigure:
    """One figure of one part: on the base's code (``before``), the branch's (``after``), and the difference, positive is better.

    ``change`` is a share of ``before`` for figures of unit ``change``; ``margin`` is how much may be lost.
    """

    part: str
    metric: str
    before: float | None
    after: float | None
    change: float
    low: float
    high: float
    margin: float
    n: int
    relative: bool
    verdict: Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangedAnswer:
    """One answer in the words of both sides; a side that failed says why in angle brackets."""

    case_id: str
    base: str
    branch: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PartResult:
    """One part of the check: how many answers were compared, how many differ, and the gated figures.

    ``reworded`` counts the answers in other words, and ``unread`` those of them that every score reads as before, or that hold
    more sentences that code does not account for: only a person can tell whether they are worse. ``changed`` shows some of the
    answers that differ, those first.
    """

    part: str
    compared: int
    different: int
    examples: tuple[str, ...]
    figures: tuple[CodeFigure, ...]
    reworded: int = 0
    unread: int = 0
    changed: tuple[ChangedAnswer, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class CodeJudgement:
    """The judgement of one task; ``left_out`` counts cases that only one side asks or whose inputs differ.

    ``unseen`` names the kinds of harm that no score sees: the gate of a change asks no judge.
    """

    task: str
    pair: str
    parts: tuple[PartResult, ...]
    left_out: int
    unseen: tuple[str, ...] = ()

    @property
    def needs_person(self) -> bool:
        """Whether the pair's own answers say something else, and there are harms that no score sees in them."""
        return bool(self.unseen) and any(part.reworded for part in self.parts if part.part.startswith(ANSWERS))

    @property
    def verdict(self) -> Verdict:
        """The worst verdict of all figures; pass if every answer is the same, fail if a part has none to compare."""
        verdicts = {figure.verdict for part in self.parts for figure in part.figures}
        if not self.parts or not all(part.compared for part in self.parts):
            return Verdict.FAIL
        for verdict in (Verdict.FAIL, Verdict.INCONCLUSIVE):
            if verdict in verdicts:
                return verdict
        return Verdict.PASS


CODE_JUDGEMENT: TypeAdapter[CodeJudgement] = TypeAdapter(CodeJudgement)
VALUES: TypeAdapter[dict[str, dict[str, float | None]]] = TypeAdapter(dict[str, dict[str, float | None]])


def judge_sides(base: SideAnswers, branch: SideAnswers, settings: Settings) -> CodeJudgement:
    """Judge ``branch`` by the scorers, margins and statistics of this checkout, which is the base's: no change grades itself."""
    cases = _cases(base.task, settings)
    parts, left_out = [], 0
    for name, theirs in base.parts.items():
        ours = branch.parts.get(name, [])
        ours = [*ours, *_lost(theirs, ours, branch.asked.get(name, {}))]
        shared = _inputs(theirs) & _inputs(ours) & {(case.id, case.inputs_digest) for case in cases.values()}
        left_out += len(_inputs(theirs) ^ shared) + len(_inputs(ours) - shared)
        parts.append(
            _part(
                name,
                base.task,
                cases,
                ours=[item for item in ours if (item.case_id, item.inputs_digest) in shared],
                theirs=[item for item in theirs if (item.case_id, item.inputs_digest) in shared],
            )
        )
    unseen = tuple(kind.name for kind in load_suite(base.task).judged_only)
    return CodeJudgement(task=base.task, pair=branch.pair, parts=tuple(parts), left_out=left_out, unseen=unseen)


def figures_of(side: SideAnswers, settings: Settings) -> dict[str, dict[str, float | None]]:
    """Return the figures of ``side``'s answers by part and metric, by the scorers of this checkout."""
    cases = _cases(side.task, settings)
    found = {}
    for name, answers in side.parts.items():
        suite, known = _compared(load_suite(side.task), name), [item for item in answers if item.case_id in cases]
        metrics = build_metrics(suite, cases, _scored(known, side.task, cases, suite), deadline_ms=0)
        found[name] = {metric: figure.value for metric, figure in metrics.items()}
    return found


def _cases(task: str, settings: Settings) -> dict[str, Case]:
    suite = load_suite(task)
    gate = load_gate(suite, input_model=suite.case_model(load_task(task).input_model), settings=settings)
    return {case.id: case for case in gate.cases}


def _inputs(answers: Sequence[AnsweredCase]) -> set[tuple[str, str]]:
    return {(item.case_id, item.inputs_digest) for item in answers}


def _lost(theirs: Sequence[AnsweredCase], ours: Sequence[AnsweredCase], asked: Mapping[str, str]) -> list[AnsweredCase]:
    """Return as failures what the branch asked and has nothing of: without them its other answers alone would be compared."""
    there, repeats = {(item.case_id, item.repeat) for item in ours}, {item.repeat for item in ours}
    return [
        replace(item, result=replace(item.result, output=None, failure=FailureCode.INTERNAL_ERROR))
        for item in theirs
        if asked.get(item.case_id) == item.inputs_digest
        and (item.case_id, item.repeat) not in there
        and (item.repeat in repeats or not repeats)
    ]


def _with_answered(suite: Suite) -> Suite:
    """Return ``suite`` with a bound on lost answers, where it has none: its other figures leave them out."""
    metrics = {spec.name: spec for spec in suite.metrics}
    if any(metrics[gate.metric].kind == _ANSWERED for gate in suite.no_worse):
        return suite
    spec = MetricSpec(name=_ANSWERED, kind=_ANSWERED, unit=Unit.RATE)
    gate = NoWorse(metric=_ANSWERED, margin=_ANSWERED_MARGIN, reason="one answer in fifty may be lost")
    kept = tuple(spec for spec in suite.metrics if spec.name != _ANSWERED)
    return replace(suite, metrics=(*kept, spec), no_worse=(*suite.no_worse, gate))


def _compared(suite: Suite, part: str) -> Suite:
    """Return ``suite`` with the metrics that a part of the check compares."""
    gated = {gate.metric for gate in suite.no_worse}
    metrics = [spec for spec in suite.metrics if spec.name in gated and spec.kind not in _NOT_COMPARED]
    kept: tuple[MetricSpec, ...] = tuple(metrics)
    if part == SHOWN_BAD:
        kept = tuple(spec for spec in metrics if spec.kind not in {*_HOW_MUCH, "cost"})
    if part == SHOWN_BAD or part.startswith(ANSWERS):
        return replace(suite, metrics=kept, no_worse=_bounds(suite, kept))
    kept = (
        *(spec for spec in metrics if spec.kind != "cost"),  # scripted answers cost nothing
        MetricSpec(name=KEPT, kind="rate", score=KEPT, unit=Unit.RATE),
    )
    reason = "one answer in twenty may be replaced by the fallback that was not before"
    return replace(
        suite,
        metrics=kept,
        no_worse=(*_bounds(suite, kept), NoWorse(metric=KEPT, margin=_KEPT_MARGIN, reason=reason)),
    )


def _bounds(suite: Suite, metrics: Sequence[MetricSpec]) -> tuple[NoWorse, ...]:
    names = {spec.name for spec in metrics}
    return tuple(gate for gate in suite.no_worse if gate.metric in names)


def _scored(answers: Sequence[AnsweredCase], task: str, cases: Mapping[str, Case], suite: Suite) -> list[CaseResult]:
    return [
        CaseResult(
            case_id=item.case_id,
            arm="primary",
            repeat=item.repeat,
            result=item.result,
            live=False,
            scores=score_one(suite.scorers, task, cases[item.case_id], item.result)
            | {KEPT: Score(value=float(not item.result.degraded))},
        )
        for item in answers
    ]


def _part(
    name: str,
    task: str,
    cases: Mapping[str, Case],
    *,
    ours: Sequence[AnsweredCase],
    theirs: Sequence[AnsweredCase],
) -> PartResult:
    before = {(item.case_id, item.repeat): _told(item) for item in theirs}
    different = [item for item in ours if _told(item) != before.get((item.case_id, item.repeat))]
    outputs = {key: told[0] for key, told in before.items()}
    reworded = [item for item in different if item.result.output != outputs.get((item.case_id, item.repeat))]
    figures: tuple[CodeFigure, ...] = ()
    unread: list[AnsweredCase] = []
    if different:
        suite = _compared(load_suite(task), name)
        answered = {(item.case_id, item.repeat) for item in theirs if item.result.failure is None}
        if any(item.result.failure is not None and (item.case_id, item.repeat) in answered for item in ours):
            suite = _with_answered(suite)
        after, scored = _scored(ours, task, cases, suite), _scored(theirs, task, cases, suite)
        figures = _figures(name, suite, cases, after, scored)
        unread = _unread(reworded, after, scored)
    answers = {(item.case_id, item.repeat): item for item in theirs}
    first = sorted(different, key=lambda item: not any(item is other for other in unread))
    return PartResult(
        part=name,
        compared=len(ours),
        different=len(different),
        examples=tuple(item.case_id for item in different[:_SHOWN]),
        figures=figures,
        reworded=len(reworded),
        unread=len(unread),
        changed=tuple(
            ChangedAnswer(case_id=item.case_id, base=_words(answers[key]), branch=_words(item))
            for item in first[:_SHOWN]
            if (key := (item.case_id, item.repeat)) in answers
        ),
    )


def _unread(
    reworded: Sequence[AnsweredCase], ours: Sequence[CaseResult], theirs: Sequence[CaseResult]
) -> list[AnsweredCase]:
    """Return the answers whose scores are all as on the base, or that hold more sentences that code does not account for."""
    before, after = ({(item.case_id, item.repeat): item for item in side} for side in (theirs, ours))
    found = []
    for item in reworded:
        key = (item.case_id, item.repeat)
        if key not in before:
            continue
        same = all(
            score.value == after[key].scores[name].value
            for name, score in before[key].scores.items()
            if name in after[key].scores
        )
        if same or _unaccounted(after[key]) > _unaccounted(before[key]):
            found.append(item)
    return found


def _unaccounted(item: CaseResult) -> int:
    return sum(one.state == "unread" for one in sentences_of([item]))


def _words(item: AnsweredCase) -> str:
    """Return what the answer says, shortened to what a comment can show."""
    if item.result.output is None:
        return f"<{item.result.failure}>"
    return shorten(item.result.output, _SHOWN_CHARS, placeholder=" …")


def _told(item: AnsweredCase) -> tuple[Any, ...]:
    return item.result.output, item.result.failure, item.result.degraded, item.result.usage


def _figures(
    part: str, suite: Suite, cases: Mapping[str, Case], ours: Sequence[CaseResult], theirs: Sequence[CaseResult]
) -> tuple[CodeFigure, ...]:
    deltas = build_deltas(suite, cases, ours, theirs, timing="no calls")
    before, after = (build_metrics(suite, cases, side, deadline_ms=0) for side in (theirs, ours))
    found = []
    for gate in suite.no_worse:
        delta = deltas.get(gate.metric)
        if delta is None or delta.value is None or delta.low is None or delta.high is None:
            continue  # nothing to compare: what was lost altogether shows in `answered`
        found.append(
            CodeFigure(
                part=part,
                metric=gate.metric,
                before=before[gate.metric].value,
                after=after[gate.metric].value,
                change=delta.value,
                low=delta.low,
                high=delta.high,
                margin=gate.margin,
                n=delta.n,
                relative=delta.unit is Unit.CHANGE,
                verdict=margin_verdict(delta.low, delta.high, gate.margin),
            )
        )
    return tuple(found)
