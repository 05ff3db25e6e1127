"""A figure over cases: its value, interval and n, and how it is printed."""

from dataclasses import dataclass
from enum import StrEnum


class Unit(StrEnum):
    """How a metric is printed."""

    SCORE = "score"  # 0 to 100, as BLEU and chrF are printed
    RATE = "rate"  # 0 to 1
    MS = "ms"
    USD = "usd"
    WORDS = "words"
    COUNT = "count"  # a mean of numbers, such as of turns
    EVENTS = "events"  # 0 to 1: the share of cases with an event that must not happen
    CHANGE = "change"  # a share of production's figure: -0.25 is a quarter worse


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """A figure over cases with its 95% interval; ``value`` is None when no case could be scored.

    ``n`` counts the cases behind it (repeats of a case are one case), ``unscored`` those that should have been and were not.
    ``between_repeat_sd`` is the standard deviation of the figure from one repeat of the set to the next, None without repeats.

    A paired difference has more: ``p_value`` of ``test`` (of no difference), ``mde``, the smallest true drop that these cases
    show with 80% power, and ``needed_n``, the cases with which an equal pair clears the margin with 80% power. It is not
    ``comparable`` where there can be no difference, as with the latency of a production that calls no model; ``note`` says why.
    """

    name: str
    unit: Unit
    higher_is_better: bool
    value: float | None
    low: float | None
    high: float | None
    n: int
    unscored: int = 0
    note: str = ""
    method: str = ""
    confidence: float = 0.95
    between_repeat_sd: float | None = None
    p_value: float | None = None
    test: str = ""
    mde: float | None = None
    needed_n: int | None = None
    comparable: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Lead:
    """How much better than production the best release of the last year is in one figure, and which one that was.

    ``ahead`` is above 0, in the unit of the figure's difference; ``release`` is the release's sequence.
    """

    ahead: float
    release: int
