"""Removes the caller's personal data from a transcript before it is stored, logged or shown to a model; fails closed.

``TranscriptRedactor`` is the port. ``PatternRedactor`` needs nothing but this package; the others (Presidio, Amazon Comprehend)
look through what it leaves. What was taken out is counted by kind: nothing here says that a text is clean, only who looked and
what was found.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from service.calls.failure import CallFailed, FailureReason
from service.redaction.entities import ANY_TAG, TAG, EntitySpan, redact_entities
from service.redaction.free_text import RedactionFailed, redacted_text
from service.redaction.spoken import redact_spoken
from service.tasks.scorecard.transcript import Turn


@dataclass(frozen=True, slots=True, kw_only=True)
class RedactedTranscript:
    """A call's turns without whom they are about; ``found`` counts what was replaced, by kind, and ``by`` says who did."""

    turns: tuple[Turn, ...]
    by: str
    found: dict[str, int]


class TranscriptRedactor(Protocol):
    """Redacts calls. Blocking."""

    def redact(self, turns: Sequence[Turn]) -> RedactedTranscript:
        """Return the turns redacted, every one of them.

        Raises:
            CallFailed: one could not be: then none is kept.
            StoreError: whoever does it elsewhere does not answer; the call waits.
        """
        ...


class PatternRedactor:
    """Patterns, the same on every machine: what speech gives away by its context, then ``service.redaction.free_text``."""

    by = "patterns-2"

    def redact(self, turns: Sequence[Turn]) -> RedactedTranscript:
        """See ``TranscriptRedactor.redact``."""
        clean: list[Turn] = []
        found: Counter[str] = Counter()
        asked = ""
        for turn in turns:
            try:
                text = redacted_text(redact_spoken(turn.text, asked))
            except RedactionFailed as err:
                raise CallFailed(FailureReason.REDACTION, f"turn {len(clean)}: {err}") from None
            except Exception as err:  # whatever it is: a text that nobody redacted goes nowhere, nor does its traceback
                raise CallFailed(FailureReason.REDACTION, f"turn {len(clean)}: {type(err).__name__}") from None
            found.update(TAG.findall(text))
            found.subtract(TAG.findall(turn.text))  # what came in brackets was not found here
            # Only what somebody else asked just before: an agent does not answer himself.
            # "Thank you [name]" asks for no name.
            asked = ANY_TAG.sub("", turn.text) if turn.speaker == "agent" else asked if turn.speaker == "system" else ""
            clean.append(turn.model_copy(update={"text": text}))
        return RedactedTranscript(
            turns=tuple(clean), by=self.by, found={kind: n for kind, n in sorted(found.items()) if n > 0}
        )


def redacted_further(before: RedactedTranscript, finds: Sequence[Sequence[EntitySpan]], by: str) -> RedactedTranscript:
    """Return ``before`` without what was found in its turns since; ``finds`` has one list for each of them.

    Raises:
        CallFailed: a list is missing, or a find does not fit its turn.
    """
    if len(finds) != len(before.turns):
        raise CallFailed(FailureReason.REDACTION, f"finds for {len(finds)} of {len(before.turns)} turns")
    found, clean = Counter(before.found), []
    for index, (turn, places) in enumerate(zip(before.turns, finds, strict=True)):
        try:
            text = redact_entities(turn.text, places)
        except ValueError as err:
            raise CallFailed(FailureReason.REDACTION, f"turn {index}: {err}") from None
        found.update(TAG.findall(text))
        found.subtract(TAG.findall(turn.text))
        clean.append(turn.model_copy(update={"text": text}))
    return RedactedTranscript(turns=tuple(clean), by=by, found={kind: n for kind, n in sorted(found.items()) if n > 0})
