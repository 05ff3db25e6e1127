"""One turn of the schedule: run what is due, one job after the other, then send what is to be delivered."""

import os
import secrets
import socket
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from eval.spine.alone import working_alone
from eval.spine.errors import AlreadyRunning
from figures.formatting import plural
from omni.delivery.destinations import Destination
from omni.delivery.outbox import DeliveryRecord, ReportOutbox
from omni.delivery.outgoing import Outgoing
from omni.delivery.sending import send
from omni.records import open_place
from omni.schedule.child import GRACE_S, omni_command, run_command
from omni.schedule.plan import ScheduledJob, SchedulePlan
from omni.schedule.results import NoReport, last_line, result_of
from omni.schedule.runs import ClaimedRun, RunRecord, Runs, RunState
from omni.schedule.times import newest_slot
from service.kit.frame.clock import wall_clock
from service.kit.frame.display.inert import one_line
from service.kit.frame.errors import ServiceError
from service.kit.frame.files import write_once
from service.kit.settings import Settings

_MOST_DETAIL = 300
_OUTPUTS_KEPT = 20
_STATES: dict[int | None, RunState] = {None: "timed out", 0: "done", 1: "attention"}
_TURN_S = 60.0


@dataclass(frozen=True, kw_only=True)
class Scheduler:
    """Runs the jobs of ``plan``. ``folder`` holds their locks and outputs, ``now`` is the wall clock (aware UTC)."""

    plan: SchedulePlan
    runs: Runs
    outbox: ReportOutbox
    folder: Path
    now: Callable[[], datetime]
    say: Callable[[str], None]
    command: Callable[[Sequence[str]], list[str]] = omni_command
    grace_s: float = GRACE_S

    def turn(self, names: Sequence[str] = ()) -> bool:
        """Run the jobs that are due, of ``names`` or of all, and send what is due; return whether all went well.

        A job that fails is recorded and the next one runs. Ctrl-C ends the running command and is raised again.

        Raises:
            ConfigurationError: there is no job of such a name.
        """
        chosen = [self.plan.job(name) for name in names] or list(self.plan.jobs)
        well = True
        for job in chosen:
            try:
                ended = self._run_if_due(job)
            except AlreadyRunning as err:
                self.say(f"{job.id}: {err}")
                continue
            except (ServiceError, OSError) as err:
                self.say(f"{job.id}: {err}")
                well = False
                continue
            well = well and (ended is None or ended.state == "done")
        return self.deliver(self.outbox.send_due) and well

    def deliver(self, send: Callable[[], list[DeliveryRecord]]) -> bool:
        """Call ``send``, a method of the outbox, and say what became of each delivery; return whether all arrived."""
        try:
            tried = send()
        except (ServiceError, OSError) as err:
            self.say(f"delivery: {err}")
            return False
        for record in tried:
            self.say(delivery_line(record))
        return all(record.state == "delivered" for record in tried)

    def follow(self, names: Sequence[str] = ()) -> None:
        """Take a turn at the beginning of each minute, until interrupted."""
        while True:
            self.turn(names)
            time.sleep(_TURN_S - self.now().timestamp() % _TURN_S)

    def _run_if_due(self, job: ScheduledJob) -> RunRecord | None:
        now = self.now()
        slot = newest_slot(job.cron, job.zone, now, within=job.catch_up)
        before = self.runs.read(job.id)
        settled = before is None or before.is_final(job)
        if slot is None or (before is not None and settled and slot <= before.slot):
            return None
        running = next((name for name in job.after if self._is_running(name)), None)
        if running is not None:
            self.say(f"{job.id}: waits for {running}, which another scheduler is running")
            return None
        with working_alone(self.folder / "locks" / f"{job.id}.lock", f"job {job.id}"):
            claimed = self.runs.claim(job, slot, self.now())
            if claimed is None:
                found = self.runs.settle(job, self.now())
                if found is not None and found.state == "interrupted" and found.is_final(job):
                    return self._keep_result(job, found, *self._outputs(job, found))
                return None
            return self._execute(job, claimed)

    def _is_running(self, name: str) -> bool:
        record = self.runs.seen(name, self.now())
        return record is not None and record.state == "running"

    def _execute(self, job: ScheduledJob, claimed: ClaimedRun) -> RunRecord:
        record = claimed.record
        out, err = self._outputs(job, record)
        started = time.monotonic()
        try:
            code = run_command(self.command(job.command), timeout=job.timeout, out=out, err=err, grace_s=self.grace_s)
        except BaseException:
            cut_off = {"state": "interrupted", "ended_at": self.now(), "detail": "the scheduler was stopped"}
            with suppress(ServiceError):
                self.runs.finish(job, claimed, record.model_copy(update=cut_off))
            raise
        state = _STATES.get(code, "failed")
        said = last_line(out, err) if state != "done" else ""
        if state == "timed out":
            said = f"ended after its timeout of {job.timeout}" + (f"; it last printed: {said}" if said else "")
        ended = record.model_copy(
            update={
                "state": state,
                "ended_at": self.now(),
                "exit_code": code,
                "detail": one_line(said or f"exit code {code}", _MOST_DETAIL) if state != "done" else "",
                "done_slot": record.slot if state in ("done", "attention") else record.done_slot,
            }
        )
        ended = self._keep_result(job, ended, out, err)
        self.runs.finish(job, claimed, ended)
        self.say(f"{run_line(job, ended)} ({time.monotonic() - started:.1f} s)")
        return ended

    def _keep_result(self, job: ScheduledJob, ended: RunRecord, out: Path, err: Path) -> RunRecord:
        """Keep what is to be delivered, before the run is recorded as over: a crash in between repeats the run."""
        try:
            result = result_of(job, ended, out, err, self.now())
        except NoReport as problem:
            ended = ended.model_copy(update={"state": "failed", "detail": one_line(str(problem), _MOST_DETAIL)})
            result = result_of(job, ended, out, err, self.now())
        if result is not None and job.deliver is not None:
            self.outbox.keep(result, job.deliver.to)
        return ended

    def _outputs(self, job: ScheduledJob, record: RunRecord) -> tuple[Path, Path]:
        folder = self.folder / "output" / job.id
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        for old in sorted(folder.glob("*.out"))[: -_OUTPUTS_KEPT + 1]:
            old.unlink(missing_ok=True)
            old.with_suffix(".err").unlink(missing_ok=True)
        name = f"{record.slot:%Y-%m-%dT%H%MZ}-{record.attempt}"
        return folder / f"{name}.out", folder / f"{name}.err"


def run_line(job: ScheduledJob, record: RunRecord) -> str:
    """Return a run in a line, such as ``load-events: done, due 2026-11-23 07:00 UTC, 2 d late``."""
    late_s = (record.begun_at - record.slot).total_seconds()
    parts = [f"{job.id}: {record.state}", f"due {record.slot:%Y-%m-%d %H:%M} UTC"]
    if late_s >= _TURN_S:
        parts.append(f"{late_words(late_s)} late")
    if record.attempt > 1:
        parts.append(f"attempt {record.attempt}")
    return ", ".join(parts) + (f": {record.detail}" if record.detail else "")


def delivery_line(record: DeliveryRecord) -> str:
    """Return a delivery in a line."""
    text = f"{record.report_id} to {record.to}: {record.state}"
    if record.state == "waiting" and record.attempts:
        text += f" until {record.next_at:%Y-%m-%d %H:%M} UTC after {plural(record.attempts, 'failed attempt')}"
    return text + (f": {one_line(record.detail, _MOST_DETAIL)}" if record.detail else "")


def late_words(seconds: float) -> str:
    """Return a span in its largest whole unit: ``2 d``, ``3 h``, ``5 min``."""
    for unit, length in (("d", 86_400), ("h", 3_600)):
        if seconds >= length:
            return f"{seconds // length:.0f} {unit}"
    return f"{seconds // 60:.0f} min"


def open_scheduler(plan: SchedulePlan, settings: Settings, say: Callable[[str], None]) -> Scheduler:
    """Return a scheduler for ``plan`` that keeps its state where the settings say."""
    place, now = open_place(settings), wall_clock(settings.clock_file)

    def send_here(report: Outgoing, destination: Destination) -> str:
        return send(report, destination, settings, os.environ)

    folder = settings.state_dir / "schedule"
    return Scheduler(
        plan=plan,
        runs=Runs(place, _machine(folder)),
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
