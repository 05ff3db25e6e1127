"""Checks the free texts of a scorecard: summary, outcome, action items and reasons, which no label and no quote holds to account.

They must not print a number or secret in full, name a contact that nobody named, insult, give orders or dangerous advice that
nobody gave, talk as a machine, or be in a language of neither the call nor its form. The transcript is their source.
"""

import asyncio
import json
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from service.core.run.guard import PREPARE_AFTER_S
from service.core.statements.answers.finding import Finding
from service.core.statements.answers.reading import AnswerSource, findings_in
from service.core.statements.grounding.language import language_of
from service.core.statements.grounding.sentence import split_sentences
from service.core.statements.tags import ANY_TAG
from service.core.tasks.scorecard.evidence import folded
from service.core.tasks.scorecard.form import Form
from service.core.tasks.scorecard.transcript import Turn
from service.core.unit.interaction import Interaction

# Not those of a summary's style: a reason says "you" in the agent's words, and that something was refused.
_KINDS = frozenset({
    "contact detail", "credential link", "account number", "card number", "social security number", "secret", "insult", "order",
    "dangerous advice", "machine talk", "markup", "template leftover", "role",
})  # fmt: skip
_LANGUAGE = "It is in a language of neither the call nor the questions:"
_HEAVY_CHARS = 20_000
_MOST_CHARS = 20_000  # of an interaction
_NO_DAY = datetime(2000, 1, 1, tzinfo=UTC)  # nothing here depends on the day


class CardGuard:
    """Implements ``Guard`` for a scorecard or a model's answer about one part of a call, both as JSON."""

    def __init__(self, turns: Sequence[Turn], form: Form) -> None:
        """Keep the call; nothing is computed yet."""
        self._turns, self._form = turns, form
        self._lock = threading.Lock()
        self._source: AnswerSource | None = None
        self._said = ""
        self._languages: frozenset[str | None] = frozenset()

    @property
    def heavy(self) -> bool:
        """See ``Guard.heavy``."""
        return sum(len(turn.text) for turn in self._turns) > _HEAVY_CHARS

    def prepare(self) -> None:
        """See ``Guard.prepare``."""
        self._prepared().prepare()

    def prepare_soon(self) -> asyncio.Handle | asyncio.Future[None]:
        """See ``Guard.prepare_soon``."""
        loop = asyncio.get_running_loop()
        return (
            loop.run_in_executor(None, self.prepare) if self.heavy else loop.call_later(PREPARE_AFTER_S, self.prepare)
        )

    def __call__(self, text: str) -> tuple[Finding, ...]:
        """See ``Guard.__call__``."""
        source = self._prepared()
        return tuple(dict.fromkeys(found for said in _texts(json.loads(text)) for found in self._found(said, source)))

    def _prepared(self) -> AnswerSource:
        with self._lock:
            if self._source is None:
                said = [turn.text for turn in self._turns]
                asked = [f"{one.question}\n{one.guidance}\n{one.prose or ''}" for one in self._form.criteria()]
                self._languages = frozenset(map(language_of, (" ".join(said), " ".join(asked), *said))) | {None}
                self._said = "\n".join(map(folded, said))
                # Reasons name what the form asks for: "hang up and call" is no order of the model.
                pieces = _pieces([*said, *asked])
                self._source = AnswerSource([_heard(number, text) for number, text in pieces], as_of=_NO_DAY)
            return self._source

    def _found(self, text: str, source: AnswerSource) -> Iterator[Finding]:
        for found in findings_in(with_plain_tags(text, self._said), source):
            # What a speaker said word for word is no contempt of the model's.
            heard = found.kind == "insult" and folded(found.statement) in self._said
            if found.kind in _KINDS and not heard:
                yield replace(found, severity="medium")
        for sentence in (text, *split_sentences(text)):
            if language_of(sentence) not in self._languages:
                yield Finding(kind="language", value=sentence, statement=sentence, told=_LANGUAGE)
                break


def with_plain_tags(text: str, said: str) -> str:
    """Return ``text`` with each tag that the folded words ``said`` hold, too, as a word: it is no template's rest."""
    return ANY_TAG.sub(lambda tag: tag[0][1:-1] if folded(tag[0]) in said else tag[0], text)


def _texts(answer: Mapping[str, Any]) -> Iterator[str]:
    """Yield the free texts of a scorecard (``Scorecard``) or of an answer about a part (``Reading``)."""
    overview = answer.get("overview") or answer
    rated = answer.get("criteria") or (answer.get("answers") or {}).values()
    for text in (overview.get("summary"), overview.get("outcome"), *overview.get("action_items", ())):
        yield text or ""
    yield from (item.get("reason") or "" for item in rated)


def _pieces(said: Sequence[str]) -> Iterator[tuple[int, str]]:
    pieces = [text[at : at + _MOST_CHARS] for text in said for at in range(0, len(text), _MOST_CHARS)]
    return iter(enumerate(pieces))


def _heard(number: int, text: str) -> Interaction:
    return Interaction(interaction_id=f"turn-{number}", channel="agent", timestamp=_NO_DAY, intent="", text=text)
