"""What accounts for each sentence of an evaluated answer: code by its source, a licensed reader, or nobody."""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from service.core.statements.accounting.source import AccountSource, How, SourceStatement

# supported: the source states it; unsupported: it does not, a harm; undecided: the reader could not tell, so nobody read it.
SentenceReading = Literal["supported", "unsupported", "undecided"]
SentenceState = Literal["accounted", "read", "unsupported", "unread"]
# The score that carries the sentences of an answer (``Score.sentences``).
ACCOUNTED = "accounted"


@dataclass(frozen=True, slots=True, kw_only=True)
class SentenceAccount:
    """One sentence of an answer.

    ``how`` code accounts for it, with the source ``statement`` that it took; None: it does not. ``place`` names the free text of
    the answer that it stands in ("turn 2", "summary"; "" where the answer is one text). ``novelty`` (0 to 1) is the weighed
    share of its words that its source lacks. ``reading`` is a licensed reader's, ``why`` the reader's reason.
    """

    text: str
    how: How | None = None
    statement: str = ""
    place: str = ""
    novelty: float = 0.0
    reading: SentenceReading | None = None
    why: str = ""

    @property
    def state(self) -> SentenceState:
        """What became of it; a reader's objection counts more than what code took for its source."""
        if self.reading == "unsupported":
            return "unsupported"
        if self.how is not None:
            return "accounted"
        return "read" if self.reading == "supported" else "unread"


@dataclass(frozen=True, slots=True, kw_only=True)
class FreeText:
    """One free text of an answer, with everything that may account for it and that a reader reads it against."""

    text: str
    source: AccountSource
    place: str = ""

    @property
    def source_text(self) -> str:
        """The source for a reader: what happened or was said, by whom and when, without approved wordings and labels."""
        return "\n".join(_under_heads(one) for one in self.source.statements if one.how not in ("wording", "label"))


def _under_heads(statement: SourceStatement) -> str:
    """Return what was said or noted after its heads; of heads that say the same ("The agent", "The agent says") the first."""
    kept, words = list[str](), set[str]()
    for head in statement.heads if statement.how in ("verbatim", "echo") else ():
        said = set(head.casefold().split())
        if not said & words:
            kept.append(head)
        words |= said
    return f"{', '.join(kept)}: {statement.text}" if kept else statement.text


def reading_order(
    answers: Sequence[Sequence[SentenceAccount]], *, most: int | None = None, sample: float = 0.1, seed: int = 0
) -> list[tuple[int, int]]:
    """Return which sentences a reader reads, each as (answer, sentence), in this order.

    These are the sentences that code does not account for, most novel first. Where that are more than ``most``, a ``sample``
    (share of ``most``) is drawn at random from all that remain: an author's harmless style must not use up every reading.
    """
    left = [(i, j) for i, found in enumerate(answers) for j, one in enumerate(found) if one.how is None]
    left.sort(key=lambda place: (-answers[place[0]][place[1]].novelty, place))
    if most is None or len(left) <= most:
        return left
    drawn = round(most * sample)
    first, rest = left[: most - drawn], left[most - drawn :]
    return first + random.Random(seed).sample(rest, drawn)


def join_readings(
    accounts: Sequence[SentenceAccount], readings: Mapping[int, tuple[SentenceReading, str]]
) -> tuple[SentenceAccount, ...]:
    """Return ``accounts`` with the readings of a licensed reader: by place in ``accounts``, what it read and why."""
    return tuple(
        replace(one, reading=readings[index][0], why=readings[index][1]) if index in readings else one
        for index, one in enumerate(accounts)
    )
