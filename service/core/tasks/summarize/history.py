"""Writes a history for a prompt within a token budget: newest and open interactions whole, others shortened or counted."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from functools import cached_property
from itertools import pairwise

from service.core.llm.pricing import CHARS_PER_TOKEN, estimated_tokens
from service.core.statements.grounding.text import sentences
from service.core.tasks.summarize.signals import signal_weight
from service.core.unit.interaction import Interaction

_SENTENCE_CHARS = 160
# Only the start and end of a longer text are searched for its most important sentence.
_READ_CHARS = 3000
_COMMONEST = 3
_CUT = " […] "
# At most this share of the budget goes to the newest interaction, so that some is left for the others.
_NEWEST_SHARE = 0.6
# The newest interactions stay whole within the first share, then open ones within the second. Chosen by counting which facts of
# the dev cases are kept at 300 to 800 tokens: shortening all but the newest interaction lost one more fact in twelve.
_RECENT_SHARE = 0.7
_OPEN_SHARE = 0.9
# The least ``signal_weight`` of an important interaction: a number alone has 0.5; a promise or a pending matter 2, an amount 3.
_TELLING = 2.0
_OPEN = re.compile(
    r"\b(?:open(?:ed)?|reopened|pending|pendiente|unresolved|escalat\w*|promised|owed|in progress|under review|scheduled"
    r"|waiting|incomplete|requested|disput\w*|follow.?up|not (?:yet|resolved|closed))\b",
    re.I,
)
_CLOSED = re.compile(
    r"(?<!not )(?<!never )\b(?:closed|resolved|completed?|paid|done|no further action|withdrawn)\b", re.I
)


class _Form(IntEnum):
    COUNTED = 0
    SHORT = 1
    WHOLE = 2


@dataclass
class _ShownContact:
    number: int
    item: Interaction
    whole: str
    form: _Form = _Form.COUNTED

    @cached_property
    def short(self) -> str:
        # Found only for those that need it: reading every sentence of a long history takes tens of milliseconds.
        return _short(self.number, self.item)

    @property
    def text(self) -> str:
        return self.at(self.form)

    def at(self, form: _Form) -> str:
        if form is _Form.COUNTED:
            return ""
        return self.short if form is _Form.SHORT else self.whole


def history_text(interactions: Sequence[Interaction], max_tokens: int | None = None) -> str:
    """Return interactions (oldest first) as numbered blocks: one line of facts, then the text as it was written.

    Above ``max_tokens`` (estimated; None means no limit), interactions are kept in this order until the budget is used up:

    1. the newest ones whole, up to 70% of the budget; the middle of the very newest is cut out if it needs more than 60%;
    2. open ones whole, up to 90%;
    3. of the others the most important sentence: first open ones, then those with money, danger, promises or pending matters,
       then routine ones; newest first.

    The remaining ones are counted in one line. The same interactions give the same text.
    """
    whole = "\n".join(_block(number, item) for number, item in enumerate(interactions, start=1))
    if max_tokens is None or estimated_tokens(whole) <= max_tokens:
        return whole
    return _fitted(interactions, max_tokens)


def is_open(item: Interaction, later: Sequence[Interaction]) -> bool:
    """Return whether ``item`` is unresolved: its outcome is open, and no later interaction with its intent closes it."""
    said = item.outcome or ""
    if not _OPEN.search(said) or _CLOSED.search(said):
        return False
    return not any(other.intent == item.intent and _CLOSED.search(other.outcome or "") for other in later)


def _fitted(interactions: Sequence[Interaction], max_tokens: int) -> str:
    entries = [_ShownContact(number, item, _block(number, item)) for number, item in enumerate(interactions, start=1)]
    newest, *earlier = reversed(entries)
    newest.whole = _cut(newest.whole, int(max_tokens * _NEWEST_SHARE))
    newest.form = _Form.WHOLE
    still_open = [entry for entry in earlier if is_open(entry.item, interactions[entry.number :])]
    _raise(earlier, _Form.WHOLE, entries, int(max_tokens * _RECENT_SHARE))
    _raise(still_open, _Form.WHOLE, entries, int(max_tokens * _OPEN_SHARE))
    _raise(still_open, _Form.SHORT, entries, max_tokens)
    telling = [entry for entry in earlier if not entry.form and _is_telling(entry.item)]
    _raise(telling, _Form.SHORT, entries, max_tokens)
    _raise(earlier, _Form.SHORT, entries, max_tokens)
    _raise(earlier, _Form.WHOLE, entries, max_tokens)
    return _joined(entries)


def _is_telling(item: Interaction) -> bool:
    return signal_weight(f"{item.text} {item.outcome or ''}") >= _TELLING


def _raise(candidates: Sequence[_ShownContact], form: _Form, entries: Sequence[_ShownContact], max_tokens: int) -> None:
    # The sum of the blocks' estimates, each with its line break, is never below the estimate of the joined text.
    used = sum(_cost(entry.text) for entry in entries if entry.form) + _cost(_counts(entries))
    for entry in candidates:
        if entry.form >= form:
            continue
        if form is _Form.SHORT and used + _cost(_facts(entry.number, entry.item)) > max_tokens:
            continue  # its first line alone is too long, so its sentence need not be found
        more = _cost(entry.at(form)) - (_cost(entry.text) if entry.form else 0)
        if used + more <= max_tokens:
            entry.form = form
            used += more


def _cost(text: str) -> int:
    return estimated_tokens(text) + 1 if text else 0


def _joined(entries: Sequence[_ShownContact]) -> str:
    return "\n".join(text for text in (_counts(entries), *(entry.text for entry in entries if entry.form)) if text)


def _block(number: int, item: Interaction) -> str:
    return f"{_facts(number, item)}\n{item.text.strip()}"


def _short(number: int, item: Interaction) -> str:
    text = item.text.strip()
    if len(text) > 2 * _READ_CHARS:
        text = f"{text[:_READ_CHARS]}\n{text[-_READ_CHARS:]}"
    # The earliest of the most important sentences; those of three words or fewer only if there are no others.
    found = [sentence for sentence in sentences(text) if len(sentence.split()) > 3] or sentences(text)
    best = max(found, key=signal_weight, default="")
    whole = len(found) <= 1 and len(best) <= _SENTENCE_CHARS
    return f"{_facts(number, item)}\n{_at_word(best)}{'' if whole else ' […]'}"


def _facts(number: int, item: Interaction) -> str:
    outcome = f" | outcome: {item.outcome}" if item.outcome else ""
    when = item.timestamp.strftime("%b %d %Y %H:%M")
    return f"[{number}] {when} | {item.channel} | {item.intent}{outcome}"


def _at_word(text: str) -> str:
    # Cut between words only: a part of an amount would be another amount.
    text = " ".join(text.split())
    return text if len(text) <= _SENTENCE_CHARS else text[: _SENTENCE_CHARS + 1].rpartition(" ")[0]


def _cut(text: str, max_tokens: int) -> str:
    if estimated_tokens(text) <= max_tokens:
        return text
    # Cut by characters and estimate again: with mixed scripts, tokens cannot be converted to characters.
    chars = min(len(text), max_tokens * CHARS_PER_TOKEN)
    while True:
        head, tail = text[: chars * 2 // 3].rpartition(" ")[0], text[len(text) - chars // 3 :].partition(" ")[2]
        cut = f"{head}{_CUT}{tail}"
        if estimated_tokens(cut) <= max_tokens or chars < CHARS_PER_TOKEN:
            return cut
        chars = chars * 9 // 10


def _counts(entries: Sequence[_ShownContact]) -> str:
    counted = [entry for entry in entries if not entry.form]
    if not counted:
        return ""
    first, last = counted[0].item.timestamp, counted[-1].item.timestamp
    return (
        f"[{_numbers([entry.number for entry in counted])}] {len(counted)} contacts from {first:%b %d %Y} to {last:%b %d %Y}, "
        f"counted only: {_commonest([entry.item.channel for entry in counted])}; "
        f"about {_commonest([entry.item.intent for entry in counted])}"
    )


def _numbers(numbers: Sequence[int]) -> str:
    gaps = any(after != before + 1 for before, after in pairwise(numbers))
    return f"{numbers[0]} to {numbers[-1]}{', with gaps' if gaps else ''}" if len(numbers) > 1 else str(numbers[0])


def _commonest(words: Sequence[str]) -> str:
    # Counter keeps the order of first occurrence among equals.
    found = Counter(words).most_common()
    named = ", ".join(f"{word} {count}" for word, count in found[:_COMMONEST])
    rest = sum(count for _, count in found[_COMMONEST:])
    return f"{named}, other {rest}" if rest else named
