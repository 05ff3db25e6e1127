"""Removes the caller's personal data from a transcript before it is stored, logged or shown to a model; fails closed.

``TranscriptRedactor`` is the port. ``PatternRedactor`` needs only this package; ``FindingRedactor`` has a finder (Presidio,
Amazon Comprehend) look at the text that it leaves. Removed details are counted by kind. No code here claims that a text is
clean: it only reports the redactor and its counts.
"""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

from service.calls.failure import CallFailed, FailureReason
from service.calls.redact.languages import ENGLISH, require_covered, spoken_languages
from service.calls.redact.second_look import overlooked
from service.core.redaction.dictated import redact_dictated, still_asked
from service.core.redaction.entities import TAG, EntitySpan, redact_entities
from service.core.redaction.finder import AskedText, EntityFinder
from service.core.redaction.free_text import RedactionFailed, redacted_text
from service.core.redaction.own_words import NO_WORDS, OwnWords
from service.core.redaction.spoken import is_no_name, redact_spoken
from service.core.statements.grounding.names import ordinary
from service.core.statements.tags import ANY_TAG
from service.core.tasks.scorecard.transcript import Turn

_WORD = re.compile(r"[^\W\d_]{3,}")


@dataclass(frozen=True, slots=True, kw_only=True)
class RedactedTranscript:
    """A call's redacted turns; ``found`` counts the replaced details by kind, ``by`` names the redactor and its version.

    ``languages`` counts turns by language, empty if nobody looked; ``left`` counts details that a later look found, by kind.
    """

    turns: tuple[Turn, ...]
    by: str
    found: dict[str, int]
    languages: dict[str, int] = field(default_factory=dict)
    left: dict[str, int] = field(default_factory=dict)


class TranscriptRedactor(Protocol):
    """Redacts calls. Blocking. ``by`` names it and its version, for the records; ``languages`` are those it covers, as "en"."""

    by: str
    languages: frozenset[str]

    def redact(self, turns: Sequence[Turn], own: OwnWords = NO_WORDS) -> RedactedTranscript:
        """Return all turns redacted; the tenant's ``own`` words are kept, and its agents' names typed.

        Raises:
            CallFailed: a turn could not be redacted: then none is kept.
            StoreError: a remote redactor does not answer; the call waits.
        """


class PatternRedactor:
    """Redacts with patterns, the same on every machine: spoken details by context, then ``service.core.redaction.free_text``."""

    by = "patterns-3"
    languages = frozenset({ENGLISH})

    def redact(self, turns: Sequence[Turn], own: OwnWords = NO_WORDS) -> RedactedTranscript:
        """See ``TranscriptRedactor.redact``."""
        clean: list[Turn] = []
        found: Counter[str] = Counter()
        asked = open_ = ""
        for turn in turns:
            try:
                # A number that was asked for is given in pieces and read back: the question stays open.
                text = own.with_agents(turn.text) if turn.speaker == "agent" else turn.text
                text = redact_dictated(text, f"{asked} {open_}" if turn.speaker != "agent" else open_)
                # A caller may have an agent's name: what is said as the caller's own stays a name.
                text = redacted_text(own.with_agents(redact_spoken(text, asked)), own=own)
            except RedactionFailed as err:
                raise CallFailed(FailureReason.REDACTION, f"turn {len(clean)}: {err}") from None
            except Exception as err:  # fail closed: keep neither the unredacted text nor a traceback that may quote it
                raise CallFailed(FailureReason.REDACTION, f"turn {len(clean)}: {type(err).__name__}") from None
            found.update(TAG.findall(text))
            found.subtract(TAG.findall(turn.text))  # tags that the text already had were not found here
            # Only a question of the other speaker counts: agents do not answer their own questions.
            # "Thank you [name]" does not ask for a name.
            said = ANY_TAG.sub("", turn.text)
            asks = f"{said} {open_}" if turn.speaker == "agent" else f"{asked} {open_}"
            open_ = open_ if turn.speaker == "system" else still_asked(asks, said)
            asked = said if turn.speaker == "agent" else asked if turn.speaker == "system" else ""
            clean.append(turn.model_copy(update={"text": text}))
        return RedactedTranscript(
            turns=tuple(clean), by=self.by, found={kind: n for kind, n in sorted(found.items()) if n > 0}
        )


class FindingRedactor:
    """Implements ``TranscriptRedactor``: the patterns, then a finder over all turns of the call."""

    def __init__(self, finder: EntityFinder, *, patterns: TranscriptRedactor | None = None) -> None:
        self._finder, self._patterns = finder, patterns or PatternRedactor()
        self.by = f"{finder.by}+{self._patterns.by}"
        self.languages = finder.languages | self._patterns.languages

    def redact(self, turns: Sequence[Turn], own: OwnWords = NO_WORDS) -> RedactedTranscript:
        """See ``TranscriptRedactor.redact``."""
        before = self._patterns.redact(turns, own)
        passages, asked = [], ""
        for turn in before.turns:
            passages.append(AskedText(text=turn.text, asked=asked))
            asked = turn.text if turn.speaker == "agent" else asked if turn.speaker == "system" else ""
        try:
            finds = self._finder.find(passages)
        except RedactionFailed as err:
            raise CallFailed(FailureReason.REDACTION, str(err)) from None
        return redacted_further(before, finds, self.by, own)


def redacted_further(
    before: RedactedTranscript, finds: Sequence[Sequence[EntitySpan]], by: str, own: OwnWords = NO_WORDS
) -> RedactedTranscript:
    """Return ``before`` with further finds redacted; ``finds`` has one list for each of its turns.

    Names and addresses that are ``own`` words are no finds.

    Raises:
        CallFailed: a list is missing, or a find does not fit its turn.
    """
    if len(finds) != len(before.turns):
        raise CallFailed(FailureReason.REDACTION, f"finds for {len(finds)} of {len(before.turns)} turns")
    found, clean = Counter(before.found), []
    for index, (turn, places) in enumerate(zip(before.turns, finds, strict=True)):
        try:
            text = redact_entities(turn.text, own.not_personal(turn.text, places))
        except ValueError as err:
            raise CallFailed(FailureReason.REDACTION, f"turn {index}: {err}") from None
        found.update(TAG.findall(text))
        found.subtract(TAG.findall(turn.text))
        clean.append(turn.model_copy(update={"text": text}))
    return RedactedTranscript(turns=tuple(clean), by=by, found={kind: n for kind, n in sorted(found.items()) if n > 0})


def redacted_call(
    redactor: TranscriptRedactor, turns: Sequence[Turn], language: str | None, own: OwnWords = NO_WORDS
) -> RedactedTranscript:
    """Return a call redacted, with its languages and what a second look finds; ``language`` is the declared one, if any.

    Raises:
        CallFailed: the redactor does not cover a language of the call, or did not return every turn.
    """
    require_covered(language, redactor.languages, redactor.by)
    languages = spoken_languages(turns, redactor.languages, redactor.by)
    found = redacted_turns(redactor, turns, own)
    names = _names_of(turns, found.turns)
    small = sum(turn.text == turn.text.lower() and bool(names.small & set(_words(turn.text))) for turn in found.turns)
    left = Counter(leftovers(found.turns, own)) + Counter(overlooked(found.turns)) + Counter({"name": small})
    return replace(found, languages=languages, left=dict(sorted(left.items())))


def redacted_turns(redactor: TranscriptRedactor, turns: Sequence[Turn], own: OwnWords = NO_WORDS) -> RedactedTranscript:
    """Return a call redacted, whatever its language; a word that was removed as a name once is removed in all turns.

    Raises:
        CallFailed: the redactor did not return every turn.
    """
    found = redactor.redact(turns, own)
    if len(found.turns) != len(turns):
        raise CallFailed(FailureReason.REDACTION, f"{len(found.turns)} of {len(turns)} turns came back")
    names = _names_of(turns, found.turns)
    spans = [
        [
            EntitySpan(start=m.start(), end=m.end(), kind="name")
            for m in _WORD.finditer(turn.text)
            if m[0] in names.capitalised and not any(start <= m.start() < end for start, end in kept)
        ]
        # One listed word may be a caller's name as well; two of them in a row are not.
        for turn, kept in ((turn, own.places(turn.text, fewest=2)) for turn in found.turns)
    ]
    by = f"{found.by}+names-1" if own == NO_WORDS else f"{found.by}+names-1+own-words"
    return redacted_further(found, spans, by)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Names:
    """Words that were removed as names; other turns hold them too. ``small`` are all of them in small letters."""

    capitalised: frozenset[str]
    small: frozenset[str]


def _names_of(turns: Sequence[Turn], clean: Sequence[Turn]) -> _Names:
    gone: set[str] = set()
    for before, after in zip(turns, clean, strict=True):
        if after.text.count("[name]") > before.text.count("[name]"):
            # In small letters only where the whole turn is: elsewhere "rent" and "bank" would count as names.
            small = before.text == before.text.lower()
            gone |= {word for word in set(_words(before.text)) - set(_words(after.text)) if small or word[0].isupper()}
    gone = {word for word in gone if not (ordinary(word.capitalize()) or is_no_name(word))}
    return _Names(
        capitalised=frozenset(word.capitalize() if word == word.lower() else word for word in gone),
        small=frozenset(word.lower() for word in gone),
    )


def _words(text: str) -> list[str]:
    return _WORD.findall(ANY_TAG.sub(" ", text))


def leftovers(turns: Sequence[Turn], own: OwnWords = NO_WORDS) -> dict[str, int]:
    """Return the details, by kind, that the patterns still find in redacted ``turns``; empty if the redaction holds.

    A second look at the result itself, whoever made it: a redactor that skipped a turn, or a stored transcript that was edited,
    shows here. The patterns change nothing that they have left once (0 of the 1,824 turns labelled on 2026-11-22).
    """
    left: Counter[str] = Counter()
    for turn in turns:
        left.update(TAG.findall(redacted_text(turn.text, own=own)))
        left.subtract(TAG.findall(turn.text))
    return {kind: n for kind, n in sorted(left.items()) if n > 0}
