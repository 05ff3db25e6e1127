"""Settles each item from both orders of its sentences, and makes scores of an answer's items."""

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from eval.labels.claims.answers import ItemAnswer
from eval.labels.claims.questions import ClaimItem
from eval.spine.results import QuotingFinding, Score

Outcome = Literal["stated", "contradicted", "omitted", "undecided"]
STATED, CRITICAL = "claims_stated", "critical_stated"
_FINDINGS_SHOWN = 3
_LEAST_WORDS = 3
_ELLIPSIS = re.compile(r"\.{3}|…")
_NO_WORD = re.compile(r"[^\w$€£%]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemVerdict:
    """What an answer says about one item; ``evidence`` is the sentence that shows it, ``reason`` why it is undecided."""

    item: ClaimItem
    outcome: Outcome
    evidence: str = ""
    reason: str = ""


def settle(item: ClaimItem, orders: tuple[ItemAnswer | None, ItemAnswer | None], text: str) -> ItemVerdict:
    """Return the verdict on ``item`` from the answers to its first and its swapped order, about the summary ``text``."""
    said: list[tuple[Outcome, str]] = []
    for swapped, answer in zip((False, True), orders, strict=True):
        if answer is None:
            return ItemVerdict(item=item, outcome="undecided", reason="no answer")
        said.append((_said(item, answer, swapped=swapped), answer.evidence))
    (outcome, _), (other, _) = said
    if outcome != other:
        return ItemVerdict(item=item, outcome="undecided", reason="the orders disagree")
    if outcome == "omitted":
        return ItemVerdict(item=item, outcome=outcome)
    shown = next((evidence for _, evidence in said if stands_in(evidence, text)), None)
    if shown is None:
        return ItemVerdict(item=item, outcome="undecided", reason="the evidence is not in the summary")
    return ItemVerdict(item=item, outcome=outcome, evidence=shown)


def _said(item: ClaimItem, answer: ItemAnswer, *, swapped: bool) -> Outcome:
    if answer.choice == "neither":
        return "omitted"
    first, second = item.pair(swapped=swapped)
    chosen = first if answer.choice == "a" else second
    return "stated" if chosen == item.statement else "contradicted"


def stands_in(evidence: str, text: str) -> bool:
    """Return whether ``text`` holds the quotation, apart from case, punctuation and spaces; "..." may leave words out.

    A word or two show nothing, unless the text has no more.
    """
    parts = [words for part in _ELLIPSIS.split(evidence) if (words := _words(part))]
    whole = f" {_words(text)} "
    enough = min(_LEAST_WORDS, len(whole.split()))
    return sum(len(part.split()) for part in parts) >= enough and all(f" {part} " in whole for part in parts)


def _words(text: str) -> str:
    return _NO_WORD.sub(" ", unicodedata.normalize("NFKC", text).casefold()).strip()


def scores_of(verdicts: Sequence[ItemVerdict], *, score: str, max_undecided: float) -> dict[str, Score]:
    """Return the scores of one answer.

    ``score`` is 0 when the answer contradicts a claim, else 1; it is unscored when more than ``max_undecided`` (0 to 1) of the
    items are undecided and none is contradicted, because a contradiction may hide among those. ``claims_stated`` and
    ``critical_stated`` are shares of the case's facts.
    """
    against = [item for item in verdicts if item.outcome == "contradicted"]
    undecided = [item for item in verdicts if item.outcome == "undecided"]
    counted = f"{len(verdicts)} items: {len(against)} contradicted, {len(undecided)} undecided"
    if against:
        verdict = Score(
            value=0.0, rationale=counted, findings=tuple(_finding(item) for item in against[:_FINDINGS_SHOWN])
        )
    elif len(undecided) > max_undecided * len(verdicts):
        reasons = ", ".join(sorted({item.reason for item in undecided}))
        verdict = Score(value=None, unscored=f"{counted} ({reasons})")
    else:
        verdict = Score(value=1.0, rationale=counted)
    return {score: verdict, STATED: _share(verdicts), CRITICAL: _share(verdicts, critical=True)}


def _share(verdicts: Sequence[ItemVerdict], *, critical: bool = False) -> Score:
    """Return the share of facts that the answer states: in one of their items, and contradicted in none."""
    by_fact: dict[str, set[Outcome]] = {}
    for item in verdicts:
        row = item.item.claim
        if row.source == "fact" and (row.critical or not critical):
            by_fact.setdefault(row.id, set()).add(item.outcome)
    if not by_fact:
        return Score(value=None, unscored="no critical facts are labelled" if critical else "no facts are labelled")
    stated = [name for name, outcomes in by_fact.items() if "stated" in outcomes and "contradicted" not in outcomes]
    missing = tuple(f"not stated: {name}" for name in by_fact if name not in stated)
    return Score(
        value=len(stated) / len(by_fact),
        rationale=f"{len(stated)} of {len(by_fact)} stated",
        findings=missing[:_FINDINGS_SHOWN],
    )


def _finding(verdict: ItemVerdict) -> str:
    row = verdict.item.claim
    said = f"{row.id} ({verdict.item.dimension}): says {verdict.item.contrast!r}, but {row.statement!r}"
    return QuotingFinding(said, quote=verdict.evidence)
