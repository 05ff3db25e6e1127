"""Redacts the texts that enter the warehouse: the patterns, then the finder. What cannot be redacted is withheld."""

from collections.abc import Sequence
from dataclasses import dataclass

from service.core.redaction.entities import EntitySpan, redact_entities
from service.core.redaction.finder import AskedText, EntityFinder, FinderBroken
from service.core.redaction.free_text import RedactionFailed, redacted_text
from service.core.redaction.spoken import redact_said_names

WITHHELD = "[withheld]"
_AT_ONCE = 512


@dataclass(frozen=True, slots=True, kw_only=True)
class PersonalText:
    """A text that a person or a model wrote about the customer with this account number."""

    text: str
    account_number: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RedactedText:
    """A text that may be stored; ``withheld`` is why it is ``WITHHELD`` and not what was written, or ""."""

    text: str
    withheld: str = ""


class TextRedactor:
    """Redacts texts with the patterns and, if there is one, a finder; ``by`` names both."""

    def __init__(self, finder: EntityFinder | None = None) -> None:
        self._finder = finder
        self.by = "patterns" if finder is None else f"{finder.by}+patterns"

    def redact(self, texts: Sequence[PersonalText]) -> list[RedactedText]:
        """Return all texts in their order, redacted or withheld. Equal texts are looked at once.

        Raises:
            FinderBroken: the finder does not work at all.
            StoreError: a remote finder does not answer; nothing may be stored yet.
        """
        clean = [_patterned(one) for one in texts]
        if self._finder is None:
            return clean
        wanted = list(dict.fromkeys(one.text for one in clean if not one.withheld and one.text.strip()))
        found: dict[str, RedactedText] = {}
        for at in range(0, len(wanted), _AT_ONCE):
            found |= self._looked_at(self._finder, wanted[at : at + _AT_ONCE])
        return [one if one.withheld else found.get(one.text, one) for one in clean]

    def _looked_at(self, finder: EntityFinder, texts: Sequence[str]) -> dict[str, RedactedText]:
        try:
            finds = finder.find([AskedText(text=text) for text in texts])
            if len(finds) != len(texts):
                raise RedactionFailed(f"finds for {len(finds)} of {len(texts)} texts")
            return {text: _without(text, spans) for text, spans in zip(texts, finds, strict=True)}
        except FinderBroken:
            raise
        except RedactionFailed as err:
            if len(texts) == 1:
                return {texts[0]: _withheld(str(err))}
        # One of them cannot be looked at: halve until it is alone, so that no other is withheld for it.
        half = len(texts) // 2
        return self._looked_at(finder, texts[:half]) | self._looked_at(finder, texts[half:])


def _patterned(one: PersonalText) -> RedactedText:
    try:
        return RedactedText(text=redacted_text(redact_said_names(one.text), account_number=one.account_number))
    except RedactionFailed as err:
        return _withheld(str(err))
    except Exception as err:  # fail closed: if redaction fails in any way, the text is not kept
        return _withheld(type(err).__name__)


def _without(text: str, spans: Sequence[EntitySpan]) -> RedactedText:
    try:
        return RedactedText(text=redact_entities(text, spans))
    except ValueError as err:
        raise RedactionFailed(str(err)) from None


def _withheld(reason: str) -> RedactedText:
    return RedactedText(text=WITHHELD, withheld=reason)
