"""Reads single sentences against their source: what is asked of a reader, and the score of an answer from its sentences.

The question has the form that small fact-checkers are trained on ("Document: ... Claim: ...", answered by Yes or No; MiniCheck,
Tang et al., EMNLP 2024), so that such a model on a team's own server can be the reader, as can any other model.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from eval.judges.labelled_rows import source_text
from eval.spine.accounts import ACCOUNTED, FreeText, SentenceAccount, SentenceReading, join_readings
from eval.spine.cases import Case
from eval.spine.results import CaseResult, Score
from eval.spine.scorer import ScorerContext, free_texts, safe_score
from eval.spine.suite import Suite
from service.core.run.task import Task, TaskResult
from service.core.statements.accounting.source import AccountSource, SourceStatement
from service.core.statements.grounding.sentence import split_sentences
from service.core.unit.pair import Pair, PromptMessage

SCHEMA_NAME = "judge-reading-v1"
READING_VARIABLES = frozenset({"document", "claim"})
MENU = ("no", "yes")
_TAG = re.compile(r"</?(document|claim)>")
_WORD = re.compile(r"[a-z]+")
_FINDINGS_SHOWN = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class SentenceRead:
    """A sentence and what the reader said of it; ``why`` it is undecided."""

    sentence: str
    reading: SentenceReading
    why: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Unread:
    """One sentence to read: its place among the answer's accounts, and the document to read it against."""

    index: int
    sentence: str
    document: str


def in_trained_form(pair: Pair) -> Pair:
    """Return the reader's pair as it is asked: without the tags that a prompt file must put around untrusted text."""

    def plain(message: PromptMessage) -> PromptMessage:
        named = r"\1" if message.role == "system" else ""
        return replace(message, content=_TAG.sub(named, message.content))

    return replace(pair, messages=tuple(map(plain, pair.messages)))


def read_answer(text: str) -> tuple[SentenceReading, str]:
    """Return the reading in a model's answer, which must begin with yes or no, and why it is undecided."""
    first = _WORD.search(text.lower())
    if first is not None and first[0] in MENU:
        return ("supported" if first[0] == "yes" else "unsupported"), ""
    return "undecided", "the reader said neither yes nor no"


def agreed(by_judge: Sequence[Sequence[SentenceRead]]) -> list[SentenceRead]:
    """Return the readings of a jury: those on which all its judges agree; the others are undecided."""
    found = []
    for said in zip(*by_judge, strict=True):
        one = len({item.reading for item in said}) == 1
        found.append(said[0] if one else replace(said[0], reading="undecided", why="the readers disagree"))
    return found


def score_of(readings: Sequence[SentenceRead], *, max_undecided: float) -> Score:
    """Return 0 when a sentence is not supported, else 1; unscored when more than ``max_undecided`` (0 to 1) are undecided."""
    against = [item for item in readings if item.reading == "unsupported"]
    undecided = [item for item in readings if item.reading == "undecided"]
    counted = f"{len(readings)} sentences read: {len(against)} unsupported, {len(undecided)} undecided"
    if against:
        findings = tuple(f"not in the source: {item.sentence}" for item in against[:_FINDINGS_SHOWN])
        return Score(value=0.0, rationale=counted, findings=findings)
    if len(undecided) > max_undecided * len(readings):
        reasons = ", ".join(sorted({item.why for item in undecided}))
        return Score(value=None, unscored=f"{counted} ({reasons})")
    return Score(value=1.0, rationale=counted)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadableTexts:
    """Tells which texts an answer of ``task`` holds, with their sources: the suite's own, or the output against the inputs."""

    task: Task[Any]
    suite: Suite

    def of(self, case: Case, result: TaskResult) -> tuple[FreeText, ...]:
        """Return the free texts of an answer."""
        found = free_texts(self.suite.scorers, self._context(case, result))
        if found is not None:
            return found
        source = AccountSource((SourceStatement(text=source_text(self.task, case)),))
        return (FreeText(text=result.output or "", source=source),)

    def accounts(self, case: Case, result: TaskResult) -> tuple[SentenceAccount, ...]:
        """Return the sentences of an answer with what code accounts for; nothing of it where the suite has no such scorer."""
        context = self._context(case, result)
        for scorer in self.suite.scorers:
            if ACCOUNTED in scorer.scores:
                return safe_score(scorer, context)[ACCOUNTED].sentences
        return tuple(
            SentenceAccount(text=sentence, place=text.place)
            for text in self.of(case, result)
            for sentence in split_sentences(text.text)
        )

    def unread(self, case: Case, result: TaskResult, accounts: Sequence[SentenceAccount]) -> tuple[Unread, ...]:
        """Return the sentences that code does not account for, with their documents."""
        documents = {text.place: text.source_text for text in self.of(case, result)}
        return tuple(
            Unread(index=index, sentence=item.text, document=documents.get(item.place, ""))
            for index, item in enumerate(accounts)
            if item.how is None
        )

    def _context(self, case: Case, result: TaskResult) -> ScorerContext:
        inputs = self.suite.case_model(self.task.input_model).model_validate(case.inputs)
        return ScorerContext(case=case, inputs=inputs, result=result, output=result.output or "")


def result_of(output: str) -> TaskResult:
    """Return ``output`` as an answer that no model was asked for."""
    return TaskResult(output=output, arm="primary", model="none", answered_by="none", latency_ms=0.0)


def joined(
    item: CaseResult, accounts: Sequence[SentenceAccount], unread: Sequence[Unread], readings: Sequence[SentenceRead]
) -> CaseResult:
    """Return ``item`` with a licensed reader's readings in its accounts."""
    said = {one.index: (read.reading, read.why) for one, read in zip(unread, readings, strict=True)}
    score = item.scores.get(ACCOUNTED)
    if score is None:
        return item
    return replace(item, scores=item.scores | {ACCOUNTED: replace(score, sentences=join_readings(accounts, said))})


def changed_sentences(text: str, good: str) -> list[str]:
    """Return the sentences of an edited ``text`` that the ``good`` one does not hold."""
    known = set(split_sentences(good))
    return [sentence for sentence in split_sentences(text) if sentence not in known]
