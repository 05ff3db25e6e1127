"""Finds personal details with Amazon Comprehend; fails when Comprehend's answer does not fit its text."""

import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from itertools import pairwise
from typing import Any

from botocore.exceptions import ClientError

from service.core.redaction.entities import EntityKind, EntitySpan
from service.core.redaction.finder import AskedText
from service.core.redaction.free_text import RedactionFailed
from service.kit.aws.bounded import PASSING, translated
from service.kit.frame.errors import StoreError
from service.kit.frame.retries import RetryPlan

# https://docs.aws.amazon.com/comprehend/latest/APIReference/API_DetectPiiEntities.html (2026-11-21): English and Spanish, 100 KB.
LANGUAGES = frozenset({"en", "es"})
MOST_BYTES = 90_000
_OVERLAP = 400  # shared by consecutive documents: a detail cut off at the end of one is complete in the next
_RETRIES = RetryPlan(first_s=0.25, longest_s=4.0)
_PATIENCE_S = 30.0  # after this time of throttling the call returns to its queue
_STORE = "Amazon Comprehend"
# Dates are kept because calls are about them. Every other kind is removed, also one that is not listed here.
KEPT = frozenset({"DATE_TIME"})
KINDS: Mapping[str, EntityKind] = {
    "NAME": "name",
    "USERNAME": "name",
    "ADDRESS": "address",
    "EMAIL": "email",
    "URL": "link",
    **dict.fromkeys(("PASSWORD", "PIN", "CREDIT_DEBIT_CVV", "AWS_ACCESS_KEY", "AWS_SECRET_KEY"), "secret"),
}  # fmt: skip
# Characters outside the basic plane are two UTF-16 units: without them "offset" means the same in every unit.
_ASTRAL = re.compile("[\U00010000-\U0010ffff]")


class ComprehendFinder:
    """Implements ``EntityFinder``: Comprehend reads long documents of many passages, so that answers follow their questions.

    ``sleep`` and ``clock`` are in seconds. It was never run against AWS; its requests and answers fit botocore's service model.
    """

    def __init__(
        self,
        comprehend: Any,
        *,
        language: str = "en",
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._comprehend, self._language = comprehend, language
        self._sleep, self._clock = sleep, clock
        self.by = f"amazon-comprehend-{language}"
        self.languages = frozenset({language})

    def find(self, passages: Sequence[AskedText]) -> list[list[EntitySpan]]:
        """See ``EntityFinder.find``."""
        # One line per passage: the start of its line maps a find back to its passage.
        lines = [re.sub(r"[\r\n]", " ", one.text) for one in passages]
        text = _ASTRAL.sub("*", "\n".join(lines))
        starts = [0]
        for line in lines:
            starts.append(starts[-1] + len(line) + 1)
        finds = [found for start, end in documents(text) for found in self._found(text[start:end], start)]
        return [
            [
                EntitySpan(start=max(one.start, start) - start, end=min(one.end, after - 1) - start, kind=one.kind)
                for one in finds
                if one.start < after - 1 and one.end > start
            ]
            for start, after in pairwise(starts)
        ]

    def _found(self, document: str, place: int) -> Iterator[EntitySpan]:
        if not document.strip():
            return
        for entity in self._detected(document):
            begin, end, type_ = (entity.get(name) for name in ("BeginOffset", "EndOffset", "Type"))
            if not (isinstance(begin, int) and isinstance(end, int) and isinstance(type_, str)):
                raise RedactionFailed(f"{_STORE} returned an entity without position or kind")
            if not 0 <= begin < end <= len(document):
                raise RedactionFailed(
                    f"{_STORE} returned an entity from {begin} to {end} in a document of {len(document)} characters",
                )
            if type_ not in KEPT:
                yield EntitySpan(start=place + begin, end=place + end, kind=KINDS.get(type_, "number"))

    def _detected(self, document: str) -> list[dict[str, Any]]:
        asked = partial(self._asked, document)
        return _RETRIES.run(asked, on=PASSING, timeout_s=_PATIENCE_S, sleep=self._sleep, clock=self._clock)

    def _asked(self, document: str) -> list[dict[str, Any]]:
        try:
            with translated(_STORE):
                answer = self._comprehend.detect_pii_entities(Text=document, LanguageCode=self._language)
        except StoreError as err:
            refused = err.__cause__
            code = refused.response.get("Error", {}).get("Code") if isinstance(refused, ClientError) else ""
            if code in {"InvalidRequestException", "TextSizeLimitExceededException", "UnsupportedLanguageException"}:
                # A retry would give the same answer. The cause is dropped to be safe, although it quotes no text.
                raise RedactionFailed(f"{_STORE} refuses the call: {code}") from None
            raise
        except Exception as err:  # a partial answer or invalid JSON: botocore has no common error for these
            raise RedactionFailed(f"{_STORE}'s answer cannot be read: {type(err).__name__}") from None
        entities = answer.get("Entities")
        if not isinstance(entities, list):
            raise RedactionFailed(f"{_STORE}'s answer has no 'Entities'")
        return entities


def documents(text: str) -> Iterator[tuple[int, int]]:
    """Yield start and end of overlapping documents of at most ``MOST_BYTES``, which together cover all of ``text``."""
    start = 0
    while start < len(text):
        end = _reach(text, start)
        yield start, end
        if end == len(text):
            return
        start = end - _OVERLAP


def _reach(text: str, start: int) -> int:
    taken = text[start : start + MOST_BYTES].encode("utf-8", "replace")
    if len(taken) <= MOST_BYTES:
        return min(start + MOST_BYTES, len(text))
    return start + len(taken[:MOST_BYTES].decode("utf-8", "ignore"))
