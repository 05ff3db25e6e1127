"""The parts of the HTML report about single cases: inputs, expectations, and each pair's answer with its faults marked."""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, Protocol, runtime_checkable

from pydantic import BaseModel, ValidationError

from eval.report import conclusions
from eval.report.changes import READABLE_SHARE, TextPiece, production_answers, score_moves, word_changes
from eval.report.finding_counts import findings_sentence
from eval.report.played import Demands
from eval.report.sentences import SentenceView, sentence_views
from eval.spine.cases import Case
from eval.spine.results import CaseResult, Evaluation, PairResult
from eval.spine.suite import Suite
from figures.formatting import MISSING, format_number, plural
from figures.metric import Unit
from service.core.run.task import load_task
from service.core.statements.grounding.text import form_occurs, sentences
from service.kit.frame.display.inert import one_line, visible
from service.kit.frame.errors import ConfigurationError

WORST_LISTED = 10
_WORD = re.compile(r"\w+")
# A grounding finding has kind and value before these words: "amount $450 is in no interaction: '...'".


@runtime_checkable
class _Filtered(Protocol):
    """Inputs that show the model only some of their records."""

    def visible(self) -> Sequence[BaseModel]:
        """Return the records that the model sees."""


Against = Literal["", "worse", "better", "other words", "equal"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """A piece of a text. ``mark`` is "", "statement" (has a finding), "fault" (its wrong part) or, in inputs, "missed"."""

    text: str
    mark: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordView:
    """One record of a case's inputs, such as an interaction; a piece marked "missed" shows a fact that some answer left out."""

    heading: str
    body: str
    visible: bool
    pieces: tuple[Segment, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownAnswer:
    """One pair's answer to a case with its scores, findings and metadata."""

    title: str
    pair: str
    state: str  # "ok", "faults" or "failed"
    state_text: str
    segments: tuple[Segment, ...]
    failure: str
    raw_text: str
    missing: tuple[str, ...]
    findings: tuple[tuple[str, str], ...]
    unscored: tuple[tuple[str, str], ...]
    scores: str
    figures: str
    sentences: tuple[SentenceView, ...] = ()
    is_production: bool = False
    changes: tuple[TextPiece, ...] = ()  # compared with production's answer; empty if one of the two is missing
    in_common: str = ""
    readable: bool = False  # whether the page shows the word differences without a click
    against: Against = ""  # how the answer compares with production's


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseView:
    """One case: ``answers`` holds each pair's first answer, ``others`` the backups' and the repeated ones."""

    id: str
    slices: str
    fields: tuple[tuple[str, str], ...]
    entries: tuple[RecordView, ...]
    hidden: int
    references: tuple[str, ...]
    facts: tuple[str, ...]
    forbidden: tuple[str, ...]
    open_items: tuple[str, ...]
    mood: str
    demands: tuple[tuple[str, str], ...]
    answers: tuple[ShownAnswer, ...]
    others: tuple[ShownAnswer, ...]

    @property
    def has_finding(self) -> bool:
        """Whether a pair's first answer failed or has a finding."""
        return any(answer.state != "ok" for answer in self.answers)


@dataclass(frozen=True, slots=True, kw_only=True)
class WorstList:
    """A pair's worst cases as id and problem, at most ``WORST_LISTED``; ``said`` counts all of them."""

    pair: str
    said: str
    lines: tuple[tuple[str, str], ...]


def worst_lists(evaluation: Evaluation, suite: Suite) -> list[WorstList]:
    """Return each pair's worst cases (primary arm), in the evaluation's order of pairs."""
    lists = []
    for pair in evaluation.pairs:
        results = conclusions.results_of(pair)
        bad = conclusions.worst_results(results, suite)
        lines = []
        for item in bad[:WORST_LISTED]:
            problems = conclusions.problem_lines(item, suite)
            more = f" (+{len(problems) - 1} more)" if len(problems) > 1 else ""
            lines.append((item.case_id, one_line(problems[0], 180) + more))
        lists.append(WorstList(pair=pair.pair_name, said=findings_sentence(results, suite), lines=tuple(lines)))
    return lists


def case_views(evaluation: Evaluation, cases: Mapping[str, Case], suite: Suite) -> list[CaseView]:
    """Return every answered case; those with the worst answers of any pair come first."""
    answers: dict[str, list[tuple[PairResult, CaseResult]]] = {}
    for pair in evaluation.pairs:
        for item in pair.cases:
            answers.setdefault(item.case_id, []).append((pair, item))
    entries_of = _entry_reader(evaluation.task)
    production = production_answers(evaluation)

    def rank(case_id: str) -> list[float]:
        keys = [conclusions.badness(item, suite) for _, item in answers[case_id] if item.arm == "primary"]
        return [sum(column) / len(column) for column in zip(*keys, strict=True)]

    ranked = sorted((case_id for case_id in answers if case_id in cases), key=rank)
    return [
        _case_view(cases[case_id], answers[case_id], suite, entries_of, production.get(case_id)) for case_id in ranked
    ]


def _entry_reader(task_name: str) -> Callable[[Case], list[RecordView]]:
    """Return a function that lists a case's records and marks those that the request's filter hid from the model."""
    try:
        model: type[BaseModel] | None = load_task(task_name).input_model
    except ConfigurationError:
        model = None  # the task no longer exists in this checkout: treat all records as seen

    def seen(case: Case) -> list[dict[str, Any]] | None:
        if model is None:
            return None
        try:
            inputs = model.model_validate(case.inputs)
        except ValidationError:
            return None
        return [item.model_dump(mode="json") for item in inputs.visible()] if isinstance(inputs, _Filtered) else None

    def entries(case: Case) -> list[RecordView]:
        visible = seen(case)
        shown = None if visible is None else {_identity(record) for record in visible}
        records = [item for value in case.inputs.values() if _is_records(value) for item in value]
        return [
            RecordView(
                heading=_heading(record), body=_text(record), visible=shown is None or _identity(record) in shown
            )
            for record in records
        ]

    return entries


def _identity(record: Mapping[str, Any]) -> str:
    # The first field names a record; the whole would differ in how a time is written.
    return f"{next(iter(record.values()), '')}|{record.get('text', '')}"


def _is_records(value: object) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(item, dict) for item in value)


def _heading(record: Mapping[str, Any]) -> str:
    parts = [_plain(value) for key, value in record.items() if key != "text" and value is not None]
    return " · ".join(parts)


def _text(record: Mapping[str, Any]) -> str:
    return visible(str(record.get("text", "")))


def _plain(value: object) -> str:
    return one_line(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str), 300)


def _case_view(
    case: Case,
    answers: Sequence[tuple[PairResult, CaseResult]],
    suite: Suite,
    entries_of: Callable[[Case], list[RecordView]],
    production: CaseResult | None,
) -> CaseView:
    expected = case.expectations
    # Production first, because readers compare the other answers with it.
    answers = sorted(answers, key=lambda answer: not answer[0].is_production)
    entries = _mark_missed(entries_of(case), case, [item for _, item in answers if item.arm == "primary"])
    # Number repeats by their order: the runner's own numbers need not start at 1.
    order: dict[tuple[str, str], list[int]] = {}
    for pair, item in answers:
        order.setdefault((pair.pair_name, item.arm), []).append(item.repeat)
    views: dict[bool, list[ShownAnswer]] = {True: [], False: []}
    for pair, item in answers:
        place = sorted(order[pair.pair_name, item.arm]).index(item.repeat)
        shown = _answer(case, pair, item, suite, place)
        if production is not None and not pair.is_production:
            shown = _with_changes(shown, production, item, suite)
        views[item.arm == "primary" and place == 0].append(shown)
    return CaseView(
        id=case.id,
        slices=", ".join(f"{name}: {_plain(value)}" for name, value in case.slices.items() if value is not False),
        fields=tuple(
            (name, _plain(value)) for name, value in case.inputs.items() if value is not None and not _is_records(value)
        ),
        entries=tuple(entries),
        hidden=sum(1 for entry in entries if not entry.visible),
        references=expected.references,
        facts=tuple(fact.statement for fact in expected.facts),
        forbidden=tuple(claim.claim for claim in expected.forbidden),
        open_items=expected.open_items,
        mood=expected.mood or "",
        demands=tuple(expected.demands.items()) if isinstance(expected, Demands) else (),
        answers=tuple(views[True]),
        others=tuple(views[False]),
    )


def _with_changes(answer: ShownAnswer, production: CaseResult, item: CaseResult, suite: Suite) -> ShownAnswer:
    moves = [(after - before) * sign for _, before, after, sign in score_moves(item, production, suite)]
    against: Against = "worse" if any(move < 0 for move in moves) else "better" if moves else "other words"
    if production.result.output is None or item.result.output is None:
        missing = "production has no answer to this case" if production.result.output is None else ""
        return replace(answer, in_common=missing, against=against if moves else "")
    changes, share = word_changes(production.result.output, item.result.output)
    return replace(
        answer,
        changes=tuple(changes) if share < 1 else (),
        in_common=f"{share:.0%} of words in common with production",
        readable=share >= READABLE_SHARE,
        against=against if moves or share < 1 else "equal",
    )


def _mark_missed(entries: Sequence[RecordView], case: Case, results: Sequence[CaseResult]) -> list[RecordView]:
    """Mark the passages of the inputs that show a fact which some answer leaves out."""
    absent = {finding.text for item in results for finding in conclusions.findings_of(item)}
    spans = [fact.span for fact in case.expectations.facts if fact.statement in absent]
    marked = []
    for entry in entries:
        levels = [0] * len(entry.body)
        for span in spans:
            start, end = _find(span, entry.body)
            _raise(levels, start, end, 1)
        pieces = [replace(piece, mark="missed" if piece.mark else "") for piece in _pieces(entry.body, levels)]
        marked.append(replace(entry, pieces=tuple(pieces)))
    return marked


def _answer(case: Case, pair: PairResult, item: CaseResult, suite: Suite, place: int) -> ShownAnswer:
    result = item.result
    findings = conclusions.findings_of(item)
    facts = {fact.statement for fact in case.expectations.facts}
    title = pair.pair_name
    if item.arm == "backup":
        title += " (backup)"
    if place:
        title += f", answer {place + 1}"
    problems = len(conclusions.problem_lines(item, suite))
    state = "failed" if result.failure is not None else "faults" if problems else "ok"
    words = {"failed": f"failed: {result.failure}", "faults": plural(problems, "finding"), "ok": "no findings"}
    values = {name: score.value for name, score in item.scores.items()}
    reasons = {(name, score.unscored) for name, score in item.scores.items() if score.unscored is not None}
    return ShownAnswer(
        title=title,
        pair=pair.pair_name,
        state=state,
        state_text=words[state],
        segments=tuple(mark_output(result.output or "", findings, case)),
        failure=f"{result.failure.value}: {result.failure_message}" if result.failure is not None else "",
        raw_text=visible(result.raw_text),
        missing=tuple(finding.text for finding in findings if finding.text in facts),
        findings=tuple((f.score, _without_quote(f, result.output or "")) for f in findings if f.text not in facts),
        unscored=() if result.failure is not None else tuple(sorted((name, str(reason)) for name, reason in reasons)),
        scores=" · ".join(f"{name} {_score_text(value)}" for name, value in values.items() if value is not None),
        figures=_figures(item),
        sentences=sentence_views(item),
        is_production=pair.is_production,
    )


def _without_quote(finding: conclusions.ScoreFinding, output: str) -> str:
    """Return the finding's text without the quoted passage if that is marked in the output."""
    start, end = _find(finding.quote, visible(output))
    return visible(finding.text if start == end else finding.head)


def _score_text(value: float) -> str:
    return f"{value:.0f}" if value == int(value) else f"{value:.2f}" if abs(value) <= 1 else f"{value:.1f}"


def _figures(item: CaseResult) -> str:
    result = item.result
    cost = MISSING if result.cost is None else format_number(float(result.cost.metered_usd), Unit.USD)
    cached = f"from the cache (run {item.measured_in})" if item.measured_in else "in part from the cache"
    when = _how(item) if item.live else cached
    parts = [f"{format_number(result.request_ms, Unit.MS)}, {when}", f"cost {cost}"]
    if result.answered_by:
        origin = f" ({' + '.join(result.origins)})" if result.origins else ""
        parts.append(f"answered by {result.answered_by}{origin}")
    return " · ".join(parts)


def _how(item: CaseResult) -> str:
    """Return how this run got the answer."""
    if item.result.arm == "none":
        return "no model needed"
    if "stand-in" in item.result.origins:
        return "stand-in call"
    return "computed by code" if item.result.origins == ("code",) else "model call"


def mark_output(output: str, findings: Sequence[conclusions.ScoreFinding], case: Case) -> list[Segment]:
    """Return ``output`` in pieces; marked are passages that a finding quotes and passages that state a forbidden claim.

    The pieces joined are the output without its control characters.
    """
    output = visible(output)
    levels = [0] * len(output)
    for finding in findings:
        start, end = _find(finding.quote, output)
        if start == end:
            continue
        _raise(levels, start, end, 1)
        if finding.value and (place := output.find(finding.value, start, end)) >= 0:
            _raise(levels, place, place + len(finding.value), 2)
    claimed = {claim.claim for claim in case.expectations.forbidden if any(claim.claim in f.text for f in findings)}
    for claim in case.expectations.forbidden:
        if claim.claim in claimed:
            for sentence in sentences(output):
                if any(form_occurs(form, sentence) for form in claim.accepted):
                    start, end = _find(sentence, output)
                    _raise(levels, start, end, 2)
    return _pieces(output, levels)


def _find(passage: str, text: str) -> tuple[int, int]:
    """Return start and end of ``passage`` in ``text``, ignoring differences in white space; (0, 0) if absent."""
    if not passage:
        return 0, 0
    place = text.find(passage)
    if place >= 0:
        return place, place + len(passage)
    words = _WORD.findall(passage)
    found = re.search(r"\W+".join(map(re.escape, words)), text, re.I) if words else None
    return found.span() if found else (0, 0)


def _raise(levels: list[int], start: int, end: int, level: int) -> None:
    for place in range(start, end):
        levels[place] = max(levels[place], level)


def _pieces(text: str, levels: Sequence[int]) -> list[Segment]:
    names = ("", "statement", "fault")
    pieces: list[Segment] = []
    start = 0
    for place in range(1, len(text) + 1):
        if place == len(text) or levels[place] != levels[start]:
            pieces.append(Segment(text=text[start:place], mark=names[levels[start]]))
            start = place
    return pieces
