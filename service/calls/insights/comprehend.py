"""Reads sentiment and key phrases with Amazon Comprehend, 25 turns a request."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from botocore.exceptions import ClientError

from service.calls.insights.insight import InsightsFailed, TurnInsight
from service.kit.aws.bounded import PASSING, translated
from service.kit.frame.errors import StoreError
from service.kit.frame.retries import RetryPlan

# https://docs.aws.amazon.com/comprehend/latest/APIReference/API_BatchDetectSentiment.html (2026-11-23)
_BATCH, MOST_BYTES = 25, 4900
_RETRIES, _PATIENCE_S = RetryPlan(first_s=0.25, longest_s=4.0), 30.0
_STORE = "Amazon Comprehend"
_SENTIMENTS = frozenset({"POSITIVE", "NEGATIVE", "NEUTRAL", "MIXED"})
_FINAL = frozenset({"InvalidRequestException", "TextSizeLimitExceededException", "UnsupportedLanguageException"})


@dataclass(frozen=True, slots=True)
class ComprehendReader:
    """Implements ``InsightReader``. It was never run against AWS; its requests and answers fit botocore's service model.

    Of a turn above Comprehend's bound its beginning is read. ``sleep`` and ``clock`` are in seconds.
    """

    comprehend: Any
    sleep: Callable[[float], None] = time.sleep
    clock: Callable[[], float] = time.monotonic
    by: ClassVar[str] = "amazon-comprehend"
    # Comprehend reads more; these are the languages that a call can be told to be in.
    languages: ClassVar[frozenset[str]] = frozenset({"en", "es", "de", "fr", "it", "pt"})

    def read(self, turns: Sequence[tuple[int, str]], language: str) -> list[TurnInsight]:
        """See ``InsightReader.read``."""
        starts = range(0, len(turns), _BATCH)
        return [one for start in starts for one in self._batch(turns[start : start + _BATCH], language)]

    def _batch(self, turns: Sequence[tuple[int, str]], language: str) -> list[TurnInsight]:
        given = {"TextList": [_fitted(text) for _, text in turns], "LanguageCode": language}
        felt = self._answers(self.comprehend.batch_detect_sentiment, given)
        named = self._answers(self.comprehend.batch_detect_key_phrases, given)
        return [_turn(number, *answers) for (number, _), *answers in zip(turns, felt, named, strict=True)]

    def _answers(self, ask: Callable[..., Any], given: dict[str, Any]) -> list[dict[str, Any]]:
        """Return the answers in the order of the texts, of which each must have one."""
        answer = self._patiently(ask, given)
        refused = answer.get("ErrorList")
        if refused:
            raise InsightsFailed(
                f"{_STORE} cannot read {len(refused)} turns: {refused[0].get('ErrorCode', 'unknown')}", "incomplete"
            )
        found = {one.get("Index"): one for one in answer.get("ResultList") or ()}
        count = len(given["TextList"])
        if set(found) != set(range(count)):
            raise InsightsFailed(f"{_STORE} answered about {len(found)} of {count} turns", "incomplete")
        return [found[number] for number in range(count)]

    def _patiently(self, ask: Callable[..., Any], given: dict[str, Any]) -> dict[str, Any]:
        def asked() -> dict[str, Any]:
            with translated(_STORE):
                answer: dict[str, Any] = ask(**given)
                return answer

        try:
            return _RETRIES.run(asked, on=PASSING, timeout_s=_PATIENCE_S, sleep=self.sleep, clock=self.clock)
        except StoreError as err:
            cause = err.__cause__
            code = cause.response.get("Error", {}).get("Code") if isinstance(cause, ClientError) else None
            if code in _FINAL:
                raise InsightsFailed(f"{_STORE} refuses the call: {code}") from None
            raise


def _turn(number: int, feeling: dict[str, Any], phrases: dict[str, Any]) -> TurnInsight:
    sentiment, scores = feeling.get("Sentiment"), feeling.get("SentimentScore") or {}
    if sentiment not in _SENTIMENTS or not {"Positive", "Negative"} <= set(scores):
        raise InsightsFailed(f"{_STORE} returned a turn without a sentiment", "incomplete")
    balance = max(-1.0, min(1.0, float(scores["Positive"]) - float(scores["Negative"])))
    named = [str(one.get("Text", "")) for one in phrases.get("KeyPhrases") or ()]
    # Tags of what was redacted are no phrases.
    return TurnInsight(
        turn=number,
        sentiment=sentiment,
        balance=round(balance, 4),
        key_phrases=tuple(dict.fromkeys(one for one in named if one and "[" not in one)),
    )


def _fitted(text: str) -> str:
    return text.encode()[:MOST_BYTES].decode(errors="ignore")
