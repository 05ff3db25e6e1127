"""The schedule as other schedulers read it: systemd timers, a GitHub workflow, EventBridge Scheduler in CloudFormation.

All of them only start `omni schedule run` at the right times. What is due, whether it ran already, retries and deliveries are
decided there, so a time that fires twice or too early does nothing.
"""

import json
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Literal
from zoneinfo import ZoneInfo

from figures.command_line import PROGRAM
from omni.delivery.destinations import ChatDestination, SmtpDestination
from omni.schedule.plan import PLAN_FILE, ScheduledJob, SchedulePlan
from omni.schedule.times import CronFields, check_cron

ExportKind = Literal["eventbridge", "github", "systemd"]
_DAYS = ("Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat")
_EVERY_HOUR = frozenset(range(24))
_DAY_MINUTES = 24 * 60
# EventBridge Scheduler's bounds on how long it tries to start a target.
_LEAST_AGE, _MOST_AGE = timedelta(minutes=1), timedelta(days=1)
_RUN = f"{PROGRAM} schedule run"


def files_of(plan: SchedulePlan, kind: ExportKind) -> dict[str, str]:
    """Return the files of ``kind``: their contents by path relative to the project's root."""
    if kind == "systemd":
        return {
            "infra/schedule/omni-schedule.service": _systemd_service(),
            "infra/schedule/omni-schedule.timer": _systemd_timer(plan),
        }
    if kind == "github":
        return {".github/workflows/schedule.yml": _github(plan)}
    return {"infra/schedule/eventbridge.json": json.dumps(_eventbridge(plan), indent=2) + "\n"}


def _made_by(kind: ExportKind) -> str:
    return f"Made from {PLAN_FILE} by `{PROGRAM} schedule export --as {kind}`: edit that file instead."


# systemd


def _systemd_service() -> str:
    return f"""# {_made_by("systemd")}
# Settings and secrets stand in /etc/omni/environment, one NAME=value per line, readable by its owner alone.
[Unit]
Description=Run what is due, then send what is to be delivered
Wants=network-online.target
After=network-online.target

[Service]
Type=oneshot
User=omni
WorkingDirectory=/opt/omni
EnvironmentFile=-/etc/omni/environment
ExecStart=/opt/omni/.venv/bin/{_RUN}
# Each job has its own timeout. On `systemctl stop` the running command is ended first.
TimeoutStartSec=infinity
TimeoutStopSec=30
KillMode=mixed
"""


def _systemd_timer(plan: SchedulePlan) -> str:
    times = "\n".join(f"# {job.id}: {job.what}\nOnCalendar={_on_calendar(job)}" for job in plan.jobs)
    return f"""# {_made_by("systemd")}
[Unit]
Description=When something is due

[Timer]
{times}
# A time that passed while the machine was off is made up for at the next start.
Persistent=true

[Install]
WantedBy=timers.target
"""


def _on_calendar(job: ScheduledJob) -> str:
    fields = check_cron(job.cron)
    weekdays = "" if len(fields.weekdays) == 7 else f"{','.join(_DAYS[day] for day in sorted(fields.weekdays))} "
    date = f"*-{_listed(fields.months, 12)}-{_listed(fields.days, 31)}"
    return f"{weekdays}{date} {_listed(fields.hours, 24)}:{_listed(fields.minutes, 60)}:00 {job.zone}"


def _listed(values: Iterable[int], most: int, width: int = 2) -> str:
    found = sorted(values)
    return "*" if len(found) == most else ",".join(f"{value:0{width}}" for value in found)


# GitHub


def _github(plan: SchedulePlan) -> str:
    frequent = [job for job in plan.jobs if check_cron(job.cron).hours == _EVERY_HOUR]
    kept = [job for job in plan.jobs if job not in frequent]
    lines = [f'    - cron: "{cron}" # {job.id}, {job.cron} {job.zone}' for job in kept for cron in _utc_crons(job)]
    also = ""
    if frequent:
        names = ", ".join(f"{job.id} ({job.cron})" for job in frequent)
        also = f"# Too often for a workflow, so it runs whenever this one does: {names}.\n"
    secrets = "".join(f"      {name}: ${{{{ secrets.{name} }}}}\n" for name in _secrets(plan))
    timeout = sum((job.timeout for job in plan.jobs), timedelta(minutes=15))
    return f"""# {_made_by("github")}
# Times are in UTC. Where clocks change, each job has one time for summer and one for winter; what is not due does not run.
# The state is in AWS (the shared table and the bucket), because a runner forgets everything.
{also}name: schedule
on:
  schedule:
{chr(10).join(lines)}
  workflow_dispatch:
permissions:
  contents: read
concurrency:
  group: schedule
  cancel-in-progress: false
jobs:
  run:
    if: vars.OMNI_AWS_ROLE != '' # a copy of this repository without an AWS account runs nothing
    runs-on: ubuntu-24.04
    timeout-minutes: {timeout // timedelta(minutes=1)}
    environment: schedule
    permissions:
      contents: read
      id-token: write # to take the AWS role; there is no stored key
    env:
      OMNI_ENVIRONMENT: aws
      OMNI_REGISTRY_URI: ${{{{ secrets.OMNI_REGISTRY_URI }}}}
      MLFLOW_TRACKING_USERNAME: reader
      MLFLOW_TRACKING_PASSWORD: ${{{{ secrets.OMNI_REGISTRY_PASSWORD }}}}
{secrets}    steps:
      - uses: actions/checkout@11bd71901bbe5b1630ceea73d27597364c9af683 # v4.2.2
        with:
          persist-credentials: false
      - uses: actions/setup-python@a26af69be951a213d495a4c3e4e4022e16d87065 # v5.6.0
        with:
          python-version: "3.11"
      - uses: aws-actions/configure-aws-credentials@b47578312673ae6fa5b5096b330d9fbac3d116df # v4.2.1
        with:
          role-to-assume: ${{{{ vars.OMNI_AWS_ROLE }}}}
          aws-region: us-east-1
      - name: Trust the keys whose releases count
        env:
          TRUSTED_KEYS: ${{{{ vars.OMNI_TRUSTED_KEYS_PEM }}}}
        run: mkdir -p .omni/keys && printf '%s\\n' "$TRUSTED_KEYS" > .omni/keys/trusted.pem
      - run: make setup
      - run: .venv/bin/{_RUN}
"""


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


# EventBridge Scheduler


def _eventbridge(plan: SchedulePlan) -> dict[str, Any]:
    text, texts = {"Type": "String"}, {"Type": "CommaDelimitedList"}
    return {
        "AWSTemplateFormatVersion": "2010-09-09",
        "Description": _made_by("eventbridge"),
        "Parameters": {
            "Cluster": {**text, "Description": "ARN of the ECS cluster"},
            "TaskDefinition": {**text, "Description": "ARN of a task definition whose image holds the harness"},
            "Container": {**text, "Description": "Name of its container"},
            "SchedulerRole": {**text, "Description": "ARN of a role that may run this task and pass its roles"},
            "Subnets": {**texts, "Description": "Subnets of the task"},
            "SecurityGroups": {**texts, "Description": "Security groups of the task"},
            "Group": {**text, "Default": "omni", "Description": "Name of the group of schedules"},
        },
        "Resources": {
            "ScheduleGroup": {"Type": "AWS::Scheduler::ScheduleGroup", "Properties": {"Name": {"Ref": "Group"}}},
            **{_logical_id(job): _aws_schedule(job) for job in plan.jobs},
        },
    }


def _aws_schedule(job: ScheduledJob) -> Mapping[str, Any]:
    # The workers' image begins with the program. No job is named: retries of other jobs and deliveries are due then, too.
    words = json.dumps(_RUN.split()[1:])
    override = f'{{"containerOverrides": [{{"name": "${{Container}}", "command": {words}}}]}}'
    return {
        "Type": "AWS::Scheduler::Schedule",
        "Properties": {
            "Name": job.id,
            "GroupName": {"Ref": "ScheduleGroup"},
            "Description": job.what,
            "ScheduleExpression": _aws_cron(job),
            "ScheduleExpressionTimezone": job.zone,
            "FlexibleTimeWindow": {"Mode": "OFF"},
            "Target": {
                "Arn": {"Ref": "Cluster"},
                "RoleArn": {"Ref": "SchedulerRole"},
                "EcsParameters": {
                    "TaskDefinitionArn": {"Ref": "TaskDefinition"},
                    "TaskCount": 1,
                    "LaunchType": "FARGATE",
                    "PropagateTags": "TASK_DEFINITION",  # the bill is split by them
                    "NetworkConfiguration": {
                        "AwsvpcConfiguration": {
                            "Subnets": {"Ref": "Subnets"},
                            "SecurityGroups": {"Ref": "SecurityGroups"},
                            "AssignPublicIp": "DISABLED",
                        }
                    },
                },
                "Input": {"Fn::Sub": override},
                "RetryPolicy": {
                    "MaximumEventAgeInSeconds": int(min(max(job.catch_up, _LEAST_AGE), _MOST_AGE).total_seconds()),
                    "MaximumRetryAttempts": 10,
                },
            },
        },
    }


def _aws_cron(job: ScheduledJob) -> str:
    fields = check_cron(job.cron)
    days, weekdays = _listed(fields.days, 31, 1), "?"
    if len(fields.weekdays) < 7:
        days, weekdays = "?", ",".join(_DAYS[day].upper() for day in sorted(fields.weekdays))
    time = f"{_listed(fields.minutes, 60, 1)} {_listed(fields.hours, 24, 1)}"
    return f"cron({time} {days} {_listed(fields.months, 12, 1)} {weekdays} *)"


def _logical_id(job: ScheduledJob) -> str:
    return "".join(part.capitalize() for part in job.id.split("-"))
