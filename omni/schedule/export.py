"""The schedule as other schedulers read it: systemd timers, a GitHub workflow, EventBridge Scheduler in CloudFormation.

All of them only start `omni schedule run` at the right times. What is due, whether it ran already, retries and deliveries are
decided there, so a time that fires twice or too early does nothing. The files' texts are in ``templates``.
"""

import json
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Literal
from zoneinfo import ZoneInfo

from figures.command_line import PROGRAM
from omni.delivery.destinations import ChatDestination, SmtpDestination
from omni.schedule.plan import PLAN_FILE, ScheduledJob, SchedulePlan
from omni.schedule.times import CronFields, check_cron

ExportKind = Literal["eventbridge", "github", "systemd"]
_FOLDERS = {"eventbridge": "infra/schedule", "github": ".github/workflows", "systemd": "infra/schedule"}
_FILES = {
    "eventbridge": ("eventbridge.json",),
    "github": ("schedule.yml",),
    "systemd": ("omni-schedule.service", "omni-schedule.timer"),
}
_DAYS = ("Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat")
_EVERY_HOUR = frozenset(range(24))
_DAY_MINUTES = 24 * 60
# EventBridge Scheduler's bounds on how long it tries to start a target.
_LEAST_AGE, _MOST_AGE = timedelta(minutes=1), timedelta(days=1)


def files_of(plan: SchedulePlan, kind: ExportKind) -> dict[str, str]:
    """Return the files of ``kind``: their contents by path relative to the project's root."""
    frequent = [job for job in plan.jobs if check_cron(job.cron).hours == _EVERY_HOUR]
    timeout = sum((job.timeout for job in plan.jobs), timedelta(minutes=15))
    values = {
        "made_by": f"Made from {PLAN_FILE} by `{PROGRAM} schedule export --as {kind}`: edit that file instead.",
        "run": f"{PROGRAM} schedule run",
        "jobs": plan.jobs,
        "rare": [job for job in plan.jobs if job not in frequent],
        "frequent": [f"{job.id} ({job.cron})" for job in frequent],
        "secrets": _secrets(plan),
        "timeout_min": timeout // timedelta(minutes=1),
    }
    texts = {name: _rendered(f"{name}.jinja", values) for name in _FILES[kind]}
    if kind == "eventbridge":
        texts = {name: json.dumps(json.loads(text), indent=2) + "\n" for name, text in texts.items()}
    return {f"{_FOLDERS[kind]}/{name}": text for name, text in texts.items()}


def _rendered(name: str, values: dict[str, Any]) -> str:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    # None of these files is HTML, and GitHub's own expressions stand in braces.
    templates = Environment(  # noqa: S701
        loader=FileSystemLoader(Path(__file__).with_name("templates")),
        undefined=StrictUndefined,
        keep_trailing_newline=True,
        trim_blocks=True,
        lstrip_blocks=True,
        variable_start_string="[[",
        variable_end_string="]]",
        block_start_string="[%",
        block_end_string="%]",
        comment_start_string="[#",
        comment_end_string="#]",
    )
    templates.policies["json.dumps_kwargs"] = {"sort_keys": False}
    templates.filters |= {
        "calendar": _on_calendar,
        "utc_crons": _utc_crons,
        "aws_cron": _aws_cron,
        "event_age_s": lambda job: int(min(max(job.catch_up, _LEAST_AGE), _MOST_AGE).total_seconds()),
        "logical_id": lambda job: "".join(part.capitalize() for part in job.id.split("-")),
    }
    return templates.get_template(name).render(values)


def _on_calendar(job: ScheduledJob) -> str:
    fields = check_cron(job.cron)
    weekdays = "" if len(fields.weekdays) == 7 else f"{','.join(_DAYS[day] for day in sorted(fields.weekdays))} "
    date = f"*-{_listed(fields.months, 12)}-{_listed(fields.days, 31)}"
    return f"{weekdays}{date} {_listed(fields.hours, 24)}:{_listed(fields.minutes, 60)}:00 {job.zone}"


def _listed(values: Iterable[int], most: int, width: int = 2) -> str:
    found = sorted(values)
    return "*" if len(found) == most else ",".join(f"{value:0{width}}" for value in found)


def _secrets(plan: SchedulePlan) -> list[str]:
    """Return the environment variables that the destinations of all jobs need."""
    found = set()
    for name in {name for job in plan.jobs if job.deliver for name in job.deliver.to}:
        destination = plan.destinations[name]
        if isinstance(destination, ChatDestination):
            found.add(destination.url_from)
        if isinstance(destination, SmtpDestination) and destination.password_from:
            found.add(destination.password_from)
    return sorted(found)


def _utc_crons(job: ScheduledJob) -> list[str]:
    """Return the job's times as cron expressions in UTC, one per offset of its zone in the course of a year."""
    fields = check_cron(job.cron)
    found = []
    for offset in _offsets(job.zone):
        hours: dict[tuple[int, int], set[int]] = {}
        for hour in fields.hours:
            for minute in fields.minutes:
                shift, rest = divmod(hour * 60 + minute - offset, _DAY_MINUTES)
                hours.setdefault((shift, rest % 60), set()).add(rest // 60)
        minutes: dict[tuple[int, frozenset[int]], set[int]] = {}
        for (shift, minute), group in hours.items():
            minutes.setdefault((shift, frozenset(group)), set()).add(minute)
        for (shift, group_hours), group_minutes in sorted(minutes.items(), key=lambda item: (item[0][0], min(item[1]))):
            time = f"{_listed(group_minutes, 60, 1)} {_listed(group_hours, 24, 1)}"
            found.append(f"{time} {_shifted_days(fields, shift)}")
    return list(dict.fromkeys(found))


def _shifted_days(fields: CronFields, shift: int) -> str:
    """Return day, month and weekday of a time that lies ``shift`` days later in UTC than in its zone."""
    days, months = _listed(fields.days, 31, 1), _listed(fields.months, 12, 1)
    if shift and (days, months) != ("*", "*"):
        days = months = "*"  # the day before the first of a month has many numbers; what is not due does not run
    weekdays = sorted((day + shift) % 7 for day in fields.weekdays)
    return f"{days} {months} {'*' if len(weekdays) == 7 else ','.join(_DAYS[day].upper() for day in weekdays)}"


def _offsets(zone: str) -> list[int]:
    """Return the zone's offsets from UTC in minutes, over the days of 2026 and 2027, in rising order."""
    start, place = datetime(2026, 1, 1, tzinfo=UTC), ZoneInfo(zone)
    moments = ((start + timedelta(days=day)).astimezone(place).utcoffset() for day in range(730))
    return sorted({int(found.total_seconds() // 60) for found in moments if found is not None})


def _aws_cron(job: ScheduledJob) -> str:
    fields = check_cron(job.cron)
    days, weekdays = _listed(fields.days, 31, 1), "?"
    if len(fields.weekdays) < 7:
        days, weekdays = "?", ",".join(_DAYS[day].upper() for day in sorted(fields.weekdays))
    time = f"{_listed(fields.minutes, 60, 1)} {_listed(fields.hours, 24, 1)}"
    return f"cron({time} {days} {_listed(fields.months, 12, 1)} {weekdays} *)"
