"""Finds passages of a pair's own messages that an answer repeats: its rules, or an example of its prompt."""

from collections.abc import Sequence
from functools import lru_cache

from service.core.statements.answers.finding import Finding
from service.core.statements.answers.prose import words_of
from service.core.unit.pair import PromptMessage

# Shorter runs of words, such as "was told that the refund has been approved", occur in good summaries as well.
_RUN_WORDS = 8


def echoes_in(text: str, messages: Sequence[PromptMessage]) -> tuple[Finding, ...]:
    """Return the first passage of eight words or more that ``text`` shares with ``messages``, a pair's templates."""
    known = [_runs_of(message.content) for message in messages]
    words = words_of(text).split()
    for place in range(len(words) - _RUN_WORDS + 1):
        run = tuple(words[place : place + _RUN_WORDS])
        if any(run in runs for runs in known):
            passage = " ".join(words[place : place + _RUN_WORDS])
            return (Finding(kind="prompt rule", value=passage, statement=passage),)
    return ()


@lru_cache(maxsize=32)
def _runs_of(template: str) -> frozenset[tuple[str, ...]]:
    words = words_of(template).split()
    return frozenset(tuple(words[place : place + _RUN_WORDS]) for place in range(len(words) - _RUN_WORDS + 1))
