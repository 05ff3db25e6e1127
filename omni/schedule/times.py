"""When a job is due: cron expressions in a time zone, evaluated by cronsim with the rules of Debian's cron.

A fixed time that the clocks skip in spring runs at the end of the skipped hour; one that occurs twice in autumn runs the first
time. An expression with ``*`` in minute or hour follows elapsed time through both changes.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError

_EVERY_DAY, _EVERY_WEEKDAY = frozenset(range(1, 32)), frozenset(range(7))
_FIRST_SPAN, _WIDER = timedelta(minutes=30), 4


@dataclass(frozen=True, slots=True, kw_only=True)
class CronFields:
    """The values of each field; Sunday is 0. Days of the month and weekdays are never both restricted."""

    minutes: frozenset[int]
    hours: frozenset[int]
    days: frozenset[int]
    months: frozenset[int]
    weekdays: frozenset[int]


def check_cron(cron: str) -> CronFields:
    """Return what five cron fields mean.

    Expressions that systemd and EventBridge Scheduler cannot say are refused: seconds, ``L``, ``#``, and day of month together
    with weekday.

    Raises:
        ValueError: with the reason.
    """
    if len(cron.split()) != 5:
        raise ValueError(f"cron {cron!r} needs five fields: minute, hour, day of month, month, weekday")
    try:
        found = CronSim(cron, datetime(2026, 1, 1, tzinfo=UTC))
    except CronSimError as err:
        raise ValueError(f"cron {cron!r}: {err}") from None
    if any(not isinstance(day, int) or day < 0 for day in (*found.days, *found.weekdays)):
        raise ValueError(f"cron {cron!r}: L, W and # are not supported")
    fields = CronFields(
        minutes=frozenset(found.minutes),
        hours=frozenset(found.hours),
        days=frozenset(found.days),
        months=frozenset(found.months),
        weekdays=frozenset(day % 7 for day in found.weekdays if isinstance(day, int)),
    )
    if fields.days != _EVERY_DAY and fields.weekdays != _EVERY_WEEKDAY:
        raise ValueError(f"cron {cron!r} restricts both day of month and weekday; write two jobs")
    return fields


def next_slot(cron: str, zone: str, after: datetime) -> datetime:
    """Return the first time (UTC) later than ``after``."""
    found: datetime = next(CronSim(cron, after.astimezone(ZoneInfo(zone))))
    return found.astimezone(UTC)


def newest_slot(cron: str, zone: str, now: datetime, *, within: timedelta) -> datetime | None:
    """Return the last time (UTC) that is not later than ``now``; None if there is none ``within`` that span before it."""
    span = min(_FIRST_SPAN, within)
    while True:
        found = _last_between(cron, zone, now - span, now)
        if found is not None or span >= within:
            return found
        span = min(span * _WIDER, within)


def _last_between(cron: str, zone: str, start: datetime, end: datetime) -> datetime | None:
    # Forward only: backwards, cronsim passes over a fixed time in the hour that occurs twice.
    times, last = CronSim(cron, (start - timedelta(seconds=1)).astimezone(ZoneInfo(zone))), None
    for found in times:
        moment = found.astimezone(UTC)
        if moment > end:
            break
        if moment >= start:
            last = moment
    return last
