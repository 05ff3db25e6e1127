"""Reports every sentence of the answers by what accounts for it: those without support first, then those that nobody read."""

from collections.abc import Iterable
from dataclasses import dataclass

from eval.report.conclusions import results_of
from eval.spine.accounts import ACCOUNTED, SentenceAccount, SentenceState
from eval.spine.results import CaseResult, Evaluation
from service.kit.frame.display.inert import one_line, visible

MOST_LISTED = 100  # sentences of a pair; each case shows all of its own
_FIRST: tuple[SentenceState, ...] = ("unsupported", "unread", "read", "accounted")
_WORDS: dict[SentenceState, str] = {
    "unsupported": "without support",
    "unread": "read by nobody",
    "read": "read by a judge",
    "accounted": "accounted for",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class SentenceView:
    """One sentence: its state with its words, where it stands, and what accounts for it or what a judge says of it."""

    case_id: str
    state: SentenceState
    said: str
    text: str
    place: str
    because: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SentenceList:
    """A pair's sentences to look at: the counts in words, the first of them, and how many more there are."""

    pair: str
    counts: str
    lines: tuple[SentenceView, ...]
    more: int


def sentence_lists(evaluation: Evaluation) -> list[SentenceList]:
    """Return each pair's sentences without support and then those that nobody read, most novel first."""
    lists = []
    for pair in evaluation.pairs:
        if pair.gate.sentences is None or not pair.gate.sentences.sentences:
            continue
        found = [
            (item.case_id, one)
            for item in results_of(pair)
            for one in sentences_in(item)
            if one.state in ("unsupported", "unread")
        ]
        found.sort(key=lambda line: (_FIRST.index(line[1].state), -line[1].novelty))
        lists.append(
            SentenceList(
                pair=pair.pair_name,
                counts=pair.gate.sentences.counts_text,
                lines=tuple(_view(case_id, one) for case_id, one in found[:MOST_LISTED]),
                more=max(len(found) - MOST_LISTED, 0),
            )
        )
    return lists


def sentence_views(item: CaseResult) -> tuple[SentenceView, ...]:
    """Return the sentences of one answer: those without support first, then those that nobody read."""
    found = sorted(sentences_in(item), key=lambda one: _FIRST.index(one.state))
    return tuple(_view(item.case_id, one) for one in found)


def sentences_in(item: CaseResult) -> Iterable[SentenceAccount]:
    """Return the sentences of one answer, in their order."""
    score = item.scores.get(ACCOUNTED)
    return () if score is None else score.sentences


def _view(case_id: str, one: SentenceAccount) -> SentenceView:
    because = one.why if one.reading is not None else ""
    if one.how is not None and not because:
        because = one.how if one.statement == one.text else f"{one.how}: {one_line(one.statement, 200)}"
    return SentenceView(
        case_id=case_id,
        state=one.state,
        said=_WORDS[one.state],
        text=visible(one.text),
        place=one.place,
        because=visible(because),
    )
