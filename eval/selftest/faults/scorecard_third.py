"""Faults in the answers of scorecards, written by an author who has not read the gate, its metrics or the other faults."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from eval.selftest.faults.scorecard_holdout import Filled, FilledCriterion, HoldoutFault, SpokenTurn

_WINDOW_WORDS = 80
_QUOTE_WORDS = 12
_WORD = re.compile(r"[a-z]{4,}")
_STEM = 5
_GLAD = re.compile(
    r"\b(?:thank\w*|thanks|cheers|great|good|lovely|perfect|brilliant|nice|appreciate\w*|wonderful|bless|ta|danke|merci|gracias)\b",
    re.IGNORECASE,
)
_COMMON = frozenset(
    "about after agent also anything asked asks been before both call caller customer does each else from have into just"
    " member more only other part parts said says some that their them then they this three turn what when which will with"
    " words your".split()
)


def partial_evidence_passes(filled: Filled, turns: Sequence[SpokenTurn]) -> Filled:
    """Answer yes as soon as the agent said something on the subject: a part of the required parts, too late, or too vague."""

    def answer(item: FilledCriterion) -> FilledCriterion:
        near = item.verdict == "no" and item.turn is not None and _said_by(turns, item.turn, "agent")
        return replace(item, verdict="yes") if near else item

    return _each(filled, answer)


def wording_must_match(filled: Filled, turns: Sequence[SpokenTurn]) -> Filled:
    """Fail a required criterion when the quote has no word of the guidance: the agent said it in other words."""

    def answer(item: FilledCriterion) -> FilledCriterion:
        unlike = item.verdict == "yes" and not _stems(item.quote or "") & _stems(item.guidance)
        return replace(item, verdict="no") if unlike and item.required else item

    return _each(filled, answer)


def opening_out_of_window(filled: Filled, turns: Sequence[SpokenTurn]) -> Filled:
    """Read the last words of the call only, as with a smaller budget: what was said before them counts as not said."""
    first, words = len(turns), 0
    while first > 0 and words + len(turns[first - 1].text.split()) <= _WINDOW_WORDS:
        first -= 1
        words += len(turns[first].text.split())

    def answer(item: FilledCriterion) -> FilledCriterion:
        lost = item.turn is not None and item.turn < first
        return replace(item, verdict="no", turn=None, quote=None) if lost else item

    return _each(filled, answer)


def absence_is_na(filled: Filled, turns: Sequence[SpokenTurn]) -> Filled:
    """Answer na where nothing in the call can be quoted: an agent who leaves something out loses no points for it."""

    def answer(item: FilledCriterion) -> FilledCriterion:
        return replace(item, verdict="na") if item.verdict == "no" and item.turn is None else item

    return _each(filled, answer)


def mood_decides(filled: Filled, turns: Sequence[SpokenTurn]) -> Filled:
    """Judge by how the customer sounds at the end: a pleased one turns a no into a yes, another an optional yes into a no."""
    spoken = [turn.text for turn in turns if turn.speaker == "customer"]
    glad = any(_GLAD.search(text) for text in spoken[-2:])
    last = _last_turn(turns, "agent")

    def answer(item: FilledCriterion) -> FilledCriterion:
        if glad and item.verdict == "no" and last is not None:
            passed = replace(item, verdict="yes")
            return passed if item.turn is not None else _citing(passed, turns, last)
        if not glad and item.verdict == "yes" and not item.required:
            return replace(item, verdict="no")
        return item

    return _each(filled, answer)


def turn_cited_once(filled: Filled, turns: Sequence[SpokenTurn]) -> Filled:
    """Cite no turn twice: a criterion shown by a turn that is already cited gets the agent's next free turn instead."""
    own = {item.turn for item in filled if item.turn is not None}
    used: set[int] = set()
    moved = []
    for item in filled:
        if item.verdict == "yes" and item.turn is not None and item.turn in used:
            free = [at for at, turn in enumerate(turns) if turn.speaker == "agent" and at not in used | own]
            later = [at for at in free if at > item.turn]
            place = later[0] if later else free[-1] if free else None
            item = replace(item, verdict="no", turn=None, quote=None) if place is None else _citing(item, turns, place)
        if item.turn is not None:
            used.add(item.turn)
        moved.append(item)
    return tuple(moved)


def reply_is_cited(filled: Filled, turns: Sequence[SpokenTurn]) -> Filled:
    """Cite the customer's reply in place of the agent's question or statement that it replies to."""

    def answer(item: FilledCriterion) -> FilledCriterion:
        after = None if item.turn is None else item.turn + 1
        asked = item.verdict == "yes" and item.quote is not None and "?" in item.quote
        if asked and after is not None and _said_by(turns, after, "customer"):
            return _citing(item, turns, after)
        return item

    return _each(filled, answer)


def first_words_quoted(filled: Filled, turns: Sequence[SpokenTurn]) -> Filled:
    """Quote the first five words of the right turn, whatever they say, where the evidence comes later in it."""

    def answer(item: FilledCriterion) -> FilledCriterion:
        if item.verdict != "yes" or item.turn is None or item.quote is None:
            return item
        text = turns[item.turn].text
        short = " ".join(text.split()[:5])
        return replace(item, quote=short) if text.find(item.quote) >= len(short) else item

    return _each(filled, answer)


def _each(filled: Filled, answer: Callable[[FilledCriterion], FilledCriterion]) -> Filled:
    return tuple(answer(item) for item in filled)


def _said_by(turns: Sequence[SpokenTurn], place: int, speaker: str) -> bool:
    return place < len(turns) and turns[place].speaker == speaker


def _last_turn(turns: Sequence[SpokenTurn], speaker: str) -> int | None:
    return max((at for at, turn in enumerate(turns) if turn.speaker == speaker), default=None)


def _citing(item: FilledCriterion, turns: Sequence[SpokenTurn], place: int) -> FilledCriterion:
    return replace(item, turn=place, quote=" ".join(turns[place].text.split()[:_QUOTE_WORDS]))


def _stems(text: str) -> frozenset[str]:
    return frozenset(word[:_STEM] for word in _WORD.findall(text.lower()) if word not in _COMMON)


THIRD_FAULTS: Mapping[str, tuple[str, HoldoutFault]] = {
    "partial_passes": ("a partial, late or vague attempt is a yes", partial_evidence_passes),
    "wording_must_match": ("required, said in other words than the guidance: a no", wording_must_match),
    "opening_out_of_window": ("reads only the last words of the call", opening_out_of_window),
    "absence_is_na": ("what the agent left out is na, not a no", absence_is_na),
    "mood_decides": ("the customer's mood at the end sways verdicts", mood_decides),
    "turn_cited_once": ("cites another turn, or fails it, if a turn is used", turn_cited_once),
    "reply_is_cited": ("cites the customer's reply, not the agent's question", reply_is_cited),
    "first_words_quoted": ("quotes the first words of the turn, not the proof", first_words_quoted),
}
