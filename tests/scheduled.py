"""A scheduler over a folder of a test: commands are Python programs, the clock is set by hand, reports go into a list."""

import sys
from datetime import UTC, datetime

from omni.delivery.outbox import ReportOutbox
from omni.delivery.outgoing import DeliveryFailed
from omni.records import disk_place
from omni.schedule.plan import SchedulePlan
from omni.schedule.runs import Runs
from omni.schedule.scheduler import Scheduler

MONDAY = datetime(2026, 11, 16, 6, tzinfo=UTC)


class Clock:
    def __init__(self, now=MONDAY):
        self.now = now

    def __call__(self):
        return self.now


class Receivers:
    """Takes reports; ``answers`` says what each attempt meets: None takes it, a text refuses it for the moment."""

    def __init__(self, *answers):
        self.answers, self.got = list(answers), []

    def __call__(self, report, destination):
        answer = self.answers.pop(0) if self.answers else None
        if isinstance(answer, Exception):
            raise answer
        if answer is not None:
            raise DeliveryFailed(answer, passing=False)
        self.got.append((report, destination))
        return ""


def job(program="", **changes):
    """A job as the file says it; ``program`` is what its command runs, as Python."""
    given = {"id": "job", "what": "does it", "command": ["report", program], "cron": "0 6 * * MON",
             "timeout": "1m", "catch_up": "6d"}  # fmt: skip
    return given | changes


def plan_of(*jobs, **changes):
    folder = {"kind": "folder", "path": "delivered"}
    return SchedulePlan.model_validate({"destinations": {"folder": folder}, "jobs": list(jobs), **changes})


def make_scheduler(tmp_path, *jobs, clock=None, send=None, place=None, machine="here", **changes):
    """Return the scheduler, and the list of the lines that it says."""
    folder, clock, said = tmp_path / "schedule", clock or Clock(), []
    plan = plan_of(*jobs)
    place = place or disk_place(tmp_path)
    scheduler = Scheduler(
        plan=plan,
        runs=Runs(place, machine),
        outbox=ReportOutbox(place=place, destinations=plan.destinations, send=send or Receivers(), now=clock),
        folder=folder,
        now=clock,
        say=said.append,
        **{"command": lambda words: [sys.executable, "-c", words[1]], "grace_s": 5.0} | changes,
    )
    return scheduler, said
