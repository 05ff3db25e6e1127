"""The port to the hours in which people can be reached, and the times that follow from it."""

from datetime import UTC, datetime, timedelta
from typing import Protocol

PROMISED_WITHIN = timedelta(hours=1)


class ReachableHours(Protocol):
    """The opening hours of the people who call back. Takes aware times and returns aware times."""

    def closes(self, moment: datetime) -> datetime | None:
        """Return when it closes; None if it is closed at ``moment``."""

    def next_opening(self, moment: datetime) -> datetime:
        """Return the next time at which it opens, after ``moment``."""


def promised_by(hours: ReachableHours, now: datetime) -> tuple[datetime, datetime]:
    """Return from when until when (UTC) a callback is promised: within the next hour, or within the first hour after opening."""
    closes = hours.closes(now)
    start = now if closes is not None and now + PROMISED_WITHIN <= closes else hours.next_opening(now)
    return start.astimezone(UTC), start.astimezone(UTC) + PROMISED_WITHIN


def next_open(hours: ReachableHours, moment: datetime) -> datetime:
    """Return ``moment`` if it is open then, else the next opening (UTC)."""
    return (moment if hours.closes(moment) is not None else hours.next_opening(moment)).astimezone(UTC)
