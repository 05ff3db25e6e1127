"""ISO weeks in a time zone: their bounds in UTC, and the SQL that maps a UTC time to its local day and week."""

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from itertools import pairwise
from zoneinfo import ZoneInfo

from reports.errors import WeekError

DAY_S, WEEK_S = 86_400, 604_800
_FORM = re.compile(r"(\d{4})-W(\d{2})")
_WORDS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")


@dataclass(frozen=True, slots=True, kw_only=True)
class Week:
    """One ISO week (Monday to Sunday) in the local time of ``zone``: 167 to 169 hours long when clocks change."""

    monday: date
    zone: ZoneInfo

    @classmethod
    def parse(cls, text: str, zone: str = "UTC") -> "Week":
        """Return the week named by ``text``, as in "2026-W47".

        Raises:
            WeekError: no such week, or no such zone.
        """
        found = _FORM.fullmatch(text)
        try:
            if found is None:
                raise ValueError
            monday = date.fromisocalendar(int(found[1]), int(found[2]), 1)
        except ValueError:
            raise WeekError(f"no week {text!r}; write year and ISO week, as in 2026-W47") from None
        return cls(monday=monday, zone=_zone(zone))

    @classmethod
    def before(cls, now: datetime, zone: str = "UTC") -> "Week":
        """Return the last week that is over at ``now``, which is the week that a report on Monday covers."""
        today = now.astimezone(_zone(zone)).date()
        return cls(monday=today - timedelta(days=today.weekday() + 7), zone=_zone(zone))

    @property
    def name(self) -> str:
        """``2026-W47``."""
        year, number, _ = self.monday.isocalendar()
        return f"{year}-W{number:02d}"

    def shifted(self, weeks: int) -> "Week":
        """Return the week ``weeks`` later, or earlier if negative."""
        return Week(monday=self.monday + timedelta(weeks=weeks), zone=self.zone)

    @property
    def start(self) -> datetime:
        """Monday's first instant, in UTC."""
        return _midnight(self.monday, self.zone)

    @property
    def end(self) -> datetime:
        """The next Monday's first instant, in UTC."""
        return _midnight(self.monday + timedelta(days=7), self.zone)

    def day(self, index: int) -> date:
        """Return the local day ``index`` days after Monday, or before it if negative."""
        return self.monday + timedelta(days=index)

    def day_of(self, instant: datetime) -> int:
        """Return how many local days after this week's Monday ``instant`` lies."""
        return (instant.astimezone(self.zone).date() - self.monday).days

    def local_seconds(self, column: str, *, weeks: int) -> str:
        """Return SQL for the seconds of local time from Monday 00:00 to ``column``, which may lie up to ``weeks`` before.

        Dividing by 86,400 or 604,800 gives the local day or week. The SQL lists the few UTC offsets of that period, so that it
        does not depend on an engine's time zones, which differ between Redshift and DuckDB.
        """
        seconds = f"DATEDIFF(second, CAST('{self.start:%Y-%m-%d %H:%M:%S}+00' AS TIMESTAMPTZ), {column})"
        monday = int(self.start.timestamp())
        steps = _offsets(int(self.shifted(-weeks).start.timestamp()), int(self.end.timestamp()), self.zone)
        usual = steps[-1][1]  # Sunday's offset; a CASE handles the stretches with another one
        start_offset = int(self.start.astimezone(self.zone).utcoffset().total_seconds())  # type: ignore[union-attr]  # aware
        cases = [
            f"WHEN {seconds} < {until - monday} THEN {offset - start_offset}"
            for (_, offset), (until, _) in pairwise(steps)
        ]
        shift = f"CASE {' '.join(cases)} ELSE {usual - start_offset} END" if cases else str(usual - start_offset)
        return f"({seconds} + {shift})"


@lru_cache(maxsize=64)  # every query of a report asks for the same weeks, which have thousands of quarter hours
def _offsets(first: int, last: int, zone: ZoneInfo) -> tuple[tuple[int, int], ...]:
    """Return (since, seconds east of UTC) for each stretch with one offset; clocks change at full quarter hours."""
    steps: list[tuple[int, int]] = []
    for at in range(first, last, 900):
        seconds = int(datetime.fromtimestamp(at, zone).utcoffset().total_seconds())  # type: ignore[union-attr]  # aware
        if not steps or steps[-1][1] != seconds:
            steps.append((at, seconds))
    return tuple(steps)


def day_words(day: date) -> str:
    """Return ``Wed 18 Nov``."""
    return f"{_WORDS[day.weekday()]} {day.day} {day:%b}"


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        raise WeekError(f"no time zone {name!r}; write an IANA name, as in Europe/Berlin") from None


def _midnight(day: date, zone: ZoneInfo) -> datetime:
    return datetime.combine(day, datetime.min.time(), zone).astimezone(UTC)
