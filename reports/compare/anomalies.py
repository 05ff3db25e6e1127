"""Anomalous days: outside the range expected from the four weeks before, or past one of the three thresholds of R-ALERTS."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from figures.arrays import Floats
from figures.formatting import format_number
from figures.metric import Unit
from reports.read.data import WeekData
from reports.read.queries import BASELINE_WEEKS
from reports.read.weeks import day_words

# In robust deviations. Of 1,120 daily figures in 20 simulated weeks without change, none was outside (docs/decisions/0020).
OUTSIDE = 4.5
SMALLEST_HISTORY = 10  # days
SMALLEST_DAY = 30  # answers
LOWEST_HELPFUL, OVER_RATINGS, DEGRADED, DEAR_DAY, DEAR_DAYS = 0.80, 200, 0.05, 1.5, 14


@dataclass(frozen=True, slots=True, kw_only=True)
class Anomaly:
    """One anomalous figure: its local day (0 is Monday), what it is, its value, the expected range, and the rule applied."""

    day: int
    what: str
    seen: str
    expected: str
    rule: str


@dataclass(frozen=True, slots=True, kw_only=True)
class _Watched:
    title: str
    unit: Unit
    part: str
    whole: str
    logs: bool = False


_WATCHED = (
    _Watched(title="answers", unit=Unit.SCORE, part="answers", whole="", logs=True),
    _Watched(title="degraded answers", unit=Unit.RATE, part="degraded", whole="answers"),
    _Watched(title="answers by the backup model", unit=Unit.RATE, part="failover", whole="asked"),
    _Watched(title="grounding violations", unit=Unit.RATE, part="flagged", whole="modelled"),
    _Watched(title="answers rated", unit=Unit.RATE, part="rated", whole="answers"),
    _Watched(title="helpful rate", unit=Unit.RATE, part="helpful", whole="rated"),
    _Watched(title="cost per answer", unit=Unit.USD, part="cost", whole="priced", logs=True),
    _Watched(title="latency p95", unit=Unit.MS, part="p95", whole="", logs=True),
)


def anomalies(data: WeekData) -> list[Anomaly]:
    """Return the week's anomalies, by day and name; only full days are checked."""
    frame = by_day(data)
    whole_days = data.week.day_of(data.now)  # leaves out today, which is not over
    found = [item for watched in _WATCHED for item in _outside(frame[frame["day"] < whole_days], watched)]
    found += _thresholds(frame[frame["day"] < whole_days])
    return sorted(found, key=lambda item: (item.day, item.what))


def by_day(data: WeekData) -> pd.DataFrame:
    """Return the counts of all pairs by local day with p50 and p95, without the days that have no answers."""
    counts = data.daily.drop(columns="pair_digest").groupby("day", as_index=False).sum()
    latency = data.daily_latency[data.daily_latency["pair_digest"] == "all"][["day", "p50", "p95"]]
    return counts.merge(latency, on="day", how="left").sort_values("day")


def _outside(frame: pd.DataFrame, watched: _Watched) -> list[Anomaly]:
    whole = frame[watched.whole] if watched.whole else pd.Series(1.0, index=frame.index)
    usable = frame[(whole > 0) & frame[watched.part].notna() & (frame["answers"] >= SMALLEST_DAY)]
    if watched.whole:
        usable = usable[usable[watched.whole] >= SMALLEST_DAY]
    values = usable[watched.part] / (usable[watched.whole] if watched.whole else 1.0)
    read: Callable[[float], float] = math.exp if watched.logs else float
    if watched.logs:
        usable, values = usable[values > 0], values[values > 0].map(math.log)
    rate = watched.unit is Unit.RATE
    found = []
    for row, value in zip(usable.itertuples(), values, strict=True):
        day = int(row.day)  # type: ignore[arg-type]
        if day < 0:
            continue
        days = usable["day"]
        past = (days < 0) & (days >= -7 * BASELINE_WEEKS)
        if (
            watched.part == "answers"
        ):  # weekends have fewer answers: compare them with weekends, and weekdays with weekdays
            past &= (days % 7 >= 5) == (day % 7 >= 5)
        history = values[past].to_numpy(np.float64)
        if len(history) < (SMALLEST_HISTORY if watched.part != "answers" else 8):
            continue
        middle = float(np.median(history))
        spread = _spread(history)
        if rate:
            size = float(getattr(row, watched.whole))
            # A share of `size` answers varies by chance even if all days before were equal; the +1/2 keeps its variance above 0.
            chance = (middle * size + 0.5) / (size + 1)
            spread = max(spread, math.sqrt(chance * (1 - chance) / size))
        if abs(value - middle) > OUTSIDE * spread:
            found.append(
                Anomaly(
                    day=day,
                    what=watched.title,
                    seen=_written(read(value), watched.unit),
                    expected=f"{_written(read(max(middle - OUTSIDE * spread, 0.0 if rate else -700.0)), watched.unit)} to "
                    f"{_written(min(read(middle + OUTSIDE * spread), 1.0 if rate else math.inf), watched.unit)}",
                    rule=f"median ± {OUTSIDE} robust deviations of the {len(history)} days before",
                )
            )
    return found


def _spread(history: Floats) -> float:
    """Return the scaled median absolute deviation, widened for few days, and at least 0.02 (for logarithms: 2% of the value)."""
    mad = float(np.median(np.abs(history - np.median(history)))) / 0.6745
    return max(mad * (1 + 2 / len(history)), 0.02)


def _thresholds(frame: pd.DataFrame) -> list[Anomaly]:
    """Return the days that cross an alert threshold of R-ALERTS (the values of the thresholds are this project's choice)."""
    found = []
    for row in frame[frame["day"] >= 0].itertuples():
        day, answers = int(row.day), float(row.answers)  # type: ignore[arg-type]
        upto = frame[frame["day"] <= day][::-1]
        reached = upto["rated"].cumsum()
        days = int((reached < OVER_RATINGS).sum()) + 1
        if reached.iloc[-1] >= OVER_RATINGS and float(row.rated) > 0:  # type: ignore[arg-type]
            rated, helpful = upto["rated"].iloc[:days].sum(), upto["helpful"].iloc[:days].sum()
            if helpful / rated < LOWEST_HELPFUL:
                share = format_number(helpful / rated, Unit.RATE, apart_from=LOWEST_HELPFUL)
                found.append(Anomaly(day=day, what="helpful rate", seen=f"{share} of {rated:,} ratings",
                                     expected=f"at least {LOWEST_HELPFUL:.2f} over {OVER_RATINGS}", rule="R-ALERTS"))  # fmt: skip
        degraded = float(row.degraded) / answers if answers >= SMALLEST_DAY else 0.0  # type: ignore[arg-type]
        if degraded > DEGRADED:
            found.append(Anomaly(day=day, what="degraded answers", seen=f"{degraded:.1%}", expected=f"at most {DEGRADED:.0%}",
                                 rule="R-ALERTS: error rate, applied to degraded answers"))  # fmt: skip
        past = frame[(frame["day"] < day) & (frame["day"] >= day - DEAR_DAYS)]["cost"]
        usual = float(past.median()) if len(past) >= DEAR_DAYS // 2 else 0.0
        if usual > 0 and float(row.cost) > DEAR_DAY * usual:  # type: ignore[arg-type]
            found.append(Anomaly(day=day, what="cost of the day", seen=format_number(float(row.cost), Unit.USD),  # type: ignore[arg-type]
                                 expected=f"at most {format_number(DEAR_DAY * usual, Unit.USD)}",
                                 rule=f"R-ALERTS: {DEAR_DAY} times the median of {len(past)} days"))  # fmt: skip
    return found


def _written(value: float, unit: Unit) -> str:
    return f"{value:,.0f}" if unit is Unit.SCORE else format_number(value, unit)


def anomaly_line(data: WeekData, item: Anomaly) -> str:
    """Return an anomaly as one line of text."""
    return f"{day_words(data.week.day(item.day))}: {item.what} {item.seen}, expected {item.expected} ({item.rule})"
