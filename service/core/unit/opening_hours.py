"""Opening hours of a week in one time zone, with holidays: what is open now, and when it opens next."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Annotated
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, BeforeValidator, PlainSerializer

_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_NAMES = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_MOST_CLOSED_DAYS = 31


@dataclass(frozen=True, slots=True)
class TimeSpan:
    """A part of a day, from ``start`` until before ``end``."""

    start: time
    end: time

    def __str__(self) -> str:
        return f"{self.start:%H:%M}-{self.end:%H:%M}"


def _span(value: object) -> TimeSpan:
    if isinstance(value, TimeSpan):
        return value
    start, _, end = str(value).partition("-")
    try:
        span = TimeSpan(time.fromisoformat(start), time.fromisoformat(end))
    except ValueError:
        raise ValueError(f'{value!r} must be times such as "09:00-17:00"') from None
    if span.start >= span.end:
        raise ValueError(f"{value!r} ends before it begins")
    return span


def _days(name: str) -> range:
    first, _, last = name.partition("-")
    if first not in _DAYS or (last or first) not in _DAYS:
        raise ValueError(f"{name!r} must be a day or a range of days, of {', '.join(_DAYS)}, such as mon-fri")
    days = range(_DAYS.index(first), _DAYS.index(last or first) + 1)
    if not days:
        raise ValueError(f"{name!r} ends before it begins")
    return days


def _disjoint(week: Mapping[str, TimeSpan]) -> Mapping[str, TimeSpan]:
    days = [day for name in week for day in _days(name)]
    if len(set(days)) < len(days):
        raise ValueError("a day of the week stands twice")
    if not days:
        raise ValueError("no day of the week is open")
    return week


DaySpan = Annotated[TimeSpan, BeforeValidator(_span), PlainSerializer(str, return_type=str)]
# Spans by a day or a range of days, such as "mon-fri".
WeekHours = Annotated[Mapping[str, DaySpan], AfterValidator(_disjoint)]


def in_words(week: Mapping[str, TimeSpan]) -> str:
    """Return hours as a text: "Monday to Friday, 9 AM to 5 PM; Saturday, 10 AM to 2 PM"."""
    parts = []
    for name, span in sorted(week.items(), key=lambda item: _days(item[0]).start):
        days = _days(name)
        named = _NAMES[days[0]] if len(days) == 1 else f"{_NAMES[days[0]]} to {_NAMES[days[-1]]}"
        parts.append(f"{named}, {spoken_time(span.start)} to {spoken_time(span.end)}")
    return "; ".join(parts)


def spoken_time(moment: time) -> str:
    """Return a time of day as people say it: "9 AM", "4:30 PM"."""
    minutes = f":{moment.minute:02d}" if moment.minute else ""
    return f"{moment.hour % 12 or 12}{minutes} {'AM' if moment.hour < 12 else 'PM'}"


def spoken_day(day: date) -> str:
    """Return a day as people say it: "Monday 23 November 2026"."""
    return f"{_NAMES[day.weekday()]} {day.day} {day:%B %Y}"


@dataclass(frozen=True, slots=True, kw_only=True)
class OpeningCalendar:
    """The hours of ``week`` in ``zone``, without ``holidays``."""

    week: Mapping[str, TimeSpan]
    holidays: Mapping[date, str]
    zone: ZoneInfo

    def local(self, moment: datetime) -> datetime:
        """Return an aware time in the calendar's zone."""
        return moment.astimezone(self.zone)

    def hours_on(self, day: date) -> TimeSpan | None:
        """Return the hours of a day, or None if it is closed."""
        if day in self.holidays:
            return None
        return next((span for name, span in self.week.items() if day.weekday() in _days(name)), None)

    def is_open(self, moment: datetime) -> bool:
        """Return whether it is open at an aware time."""
        return self.closes(moment) is not None

    def closes(self, moment: datetime) -> datetime | None:
        """Return when it closes, as a local time; None if it is closed at ``moment``."""
        here = self.local(moment)
        span = self.hours_on(here.date())
        if span is None or not span.start <= here.time() < span.end:
            return None
        return self._at(here.date(), span.end)

    def next_opening(self, moment: datetime) -> datetime:
        """Return the next time at which it opens, after ``moment``.

        Raises:
            ValueError: it stays closed for a month.
        """
        return next(start for start, _ in self.spans_after(moment) if start > self.local(moment))

    def spans_after(self, moment: datetime, within: TimeSpan | None = None) -> Iterator[tuple[datetime, datetime]]:
        """Yield the open times that end after ``moment``, as local start and end; with ``within`` only that part of each day.

        Raises:
            ValueError: it stays closed for a month.
        """
        here = self.local(moment)
        for ahead in range(_MOST_CLOSED_DAYS):
            day = here.date() + timedelta(days=ahead)
            span = self.hours_on(day)
            if span is None:
                continue
            start = span.start if within is None else max(span.start, within.start)
            end = span.end if within is None else min(span.end, within.end)
            if start < end and self._at(day, end) > here:
                yield self._at(day, start), self._at(day, end)
        raise ValueError(f"closed for {_MOST_CLOSED_DAYS} days after {here:%Y-%m-%d}")

    def _at(self, day: date, moment: time) -> datetime:
        return datetime.combine(day, moment, self.zone)
