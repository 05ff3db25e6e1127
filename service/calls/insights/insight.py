"""What is read out of a call's words besides its scorecard: sentiment and key phrases, by turn and by call."""

from collections import Counter
from collections.abc import Sequence
from typing import Literal, Protocol

from pydantic import BaseModel, ConfigDict, Field

from service.core.statements.grounding.language import language_of
from service.core.tasks.scorecard.transcript import Turn
from service.kit.frame.errors import StoreError
from service.kit.telemetry.log import Event, log
from service.warehouse.events import InsightsFailure

TurnSentiment = Literal["POSITIVE", "NEGATIVE", "NEUTRAL", "MIXED"]
MOST_PHRASES = 12
_CODES = {"English": "en", "Spanish": "es", "Portuguese": "pt", "French": "fr", "German": "de", "Italian": "it"}
_CLEAR = 0.15  # a mean balance nearer to 0 is no sentiment of the call


class InsightsFailed(Exception):
    """The reader cannot read this call; the message quotes nothing of it."""

    def __init__(self, message: str, code: InsightsFailure = "refused") -> None:
        super().__init__(message)
        self.code = code


class TurnInsight(BaseModel):
    """One turn. ``balance`` is positive minus negative, -1 to 1."""

    # A newer version may have written more: during a deployment both read the same results.
    model_config = ConfigDict(extra="ignore", frozen=True)

    turn: int
    sentiment: TurnSentiment
    balance: float = Field(ge=-1, le=1)
    key_phrases: tuple[str, ...] = ()


class CallInsights(BaseModel):
    """A call's sentiment, which is its customer's, and key phrases. With a ``failure`` there is neither, and it says why.

    ``failure_code`` is the same as a word of a fixed list; results that were stored before it have none.
    """

    # A newer version may have written more: during a deployment both read the same results.
    model_config = ConfigDict(extra="ignore", frozen=True)

    by: str
    sentiment: TurnSentiment | None = None
    balance: float | None = None
    key_phrases: tuple[str, ...] = ()
    turns: tuple[TurnInsight, ...] = ()
    failure: str | None = None
    failure_code: InsightsFailure | None = None


class InsightReader(Protocol):
    """Reads sentiment and key phrases of redacted texts. Blocking."""

    @property
    def by(self) -> str:
        """Name and version of the reader."""

    @property
    def languages(self) -> frozenset[str]:
        """ISO 639-1 codes of the languages that it reads."""

    def read(self, turns: Sequence[tuple[int, str]], language: str) -> list[TurnInsight]:
        """Return one answer about each turn, of which number and text are given, in order."""


def insights_of(reader: InsightReader, turns: Sequence[Turn]) -> CallInsights:
    """Return the insights of redacted turns; what went wrong is stated as a failure, which costs no call its score."""
    spoken = [(number, turn) for number, turn in enumerate(turns) if turn.spoken]
    if not spoken:
        return _failed(reader, "no_words", "no words are spoken")
    name = language_of(" ".join(turn.text for _, turn in spoken)) or "English"
    language = _CODES.get(name, "")
    if language not in reader.languages:
        return _failed(reader, "language", f"the call is in {name}, which {reader.by} does not read")
    try:
        found = tuple(reader.read([(number, turn.text) for number, turn in spoken], language))
    except InsightsFailed as err:
        return _failed(reader, err.code, str(err)[:300])
    except StoreError as err:
        return _failed(reader, "unreachable", str(err)[:300])
    if len(found) != len(spoken):
        return _failed(reader, "incomplete", f"{len(found)} answers about {len(spoken)} turns")
    # Where speakers are unknown, the customer may be anyone.
    customers = {number for number, turn in spoken if turn.speaker == "customer"} or {number for number, _ in spoken}
    sentiment, balance = _of_call([one for one in found if one.turn in customers])
    return CallInsights(by=reader.by, sentiment=sentiment, balance=balance, key_phrases=_most(found), turns=found)


def _of_call(turns: Sequence[TurnInsight]) -> tuple[TurnSentiment, float]:
    """Return the sentiment of the turns that have one; how a call ends weighs twice as much as how it begins."""
    felt = [(place, one) for place, one in enumerate(turns) if one.sentiment != "NEUTRAL"]
    if not felt:
        return "NEUTRAL", 0.0
    weights = [1 + place / max(len(turns) - 1, 1) for place, _ in felt]
    mean = sum(weight * one.balance for weight, (_, one) in zip(weights, felt, strict=True)) / sum(weights)
    kinds = {one.sentiment for _, one in felt}
    if abs(mean) >= _CLEAR:
        return ("POSITIVE" if mean > 0 else "NEGATIVE"), round(mean, 4)
    return ("MIXED" if "MIXED" in kinds or {"POSITIVE", "NEGATIVE"} <= kinds else "NEUTRAL"), round(mean, 4)


def _most(turns: Sequence[TurnInsight]) -> tuple[str, ...]:
    """Return the phrases of most turns, of equals the longer one, then the earlier one."""
    counts: Counter[str] = Counter()
    written: dict[str, str] = {}
    for one in turns:
        for phrase in dict.fromkeys(one.key_phrases):
            counts[phrase.casefold()] += 1
            written.setdefault(phrase.casefold(), phrase)
    ranked = sorted(counts, key=lambda phrase: (-counts[phrase], -len(phrase.split())))
    return tuple(written[phrase] for phrase in ranked[:MOST_PHRASES])


def _failed(reader: InsightReader, code: InsightsFailure, why: str) -> CallInsights:
    log(Event.CALL_INSIGHTS_FAILED, read_by=reader.by)
    return CallInsights(by=reader.by, failure=why, failure_code=code)
