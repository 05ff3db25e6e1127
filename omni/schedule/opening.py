"""Puts a scheduler together from settings and the schedule's file."""

import os
import secrets
import socket
from collections.abc import Callable
from pathlib import Path

from omni.delivery.destinations import Destination
from omni.delivery.outbox import ReportOutbox
from omni.delivery.outgoing import Outgoing
from omni.delivery.sending import send
from omni.records.opening import open_place
from omni.schedule.plan import SchedulePlan
from omni.schedule.runs import Runs
from omni.schedule.scheduler import Scheduler
from service.kit.frame.clock import wall_clock
from service.kit.frame.files import write_once
from service.kit.settings import Settings


def open_scheduler(plan: SchedulePlan, settings: Settings, say: Callable[[str], None]) -> Scheduler:
    """Return a scheduler for ``plan`` that keeps its state where the settings say."""
    place, now = open_place(settings), wall_clock(settings.clock_file)

    def send_here(report: Outgoing, destination: Destination) -> str:
        return send(report, destination, settings, os.environ)

    folder = settings.state_dir / "schedule"
    return Scheduler(
        plan=plan,
        runs=Runs(place.records, _machine(folder)),
        outbox=ReportOutbox(place=place, destinations=plan.destinations, send=send_here, now=now),
        folder=folder,
        now=now,
        say=say,
    )


def _machine(folder: Path) -> str:
    """Return this state folder's name among all that share one schedule; made once."""
    file = folder / "machine"
    write_once(file, f"{socket.gethostname()}-{secrets.token_hex(4)}".encode())
    return file.read_text(encoding="utf-8")
