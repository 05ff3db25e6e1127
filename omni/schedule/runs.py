"""Which run of a job began, ended and how: one record per job, taken by compare-and-set so that no time is run twice."""

from datetime import datetime, timedelta
from typing import Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict

from omni.records import KeptRecord, KeptRecords, SharedPlace
from omni.schedule.plan import ScheduledJob

RunState = Literal["running", "done", "attention", "failed", "timed out", "interrupted"]
RETRY_AFTER = timedelta(minutes=5)
# A lease outlives the job's timeout by the time that ending a hung process and differing clocks may take.
_LEASE_MARGIN = timedelta(minutes=2)
_AGAIN: frozenset[RunState] = frozenset({"failed", "timed out", "interrupted"})
_INTERRUPTED_ATTEMPTS = 2  # a run that was cut off from outside is repeated once, whatever the job allows


class RunRecord(BaseModel):
    """The newest run of a job. ``slot`` is the scheduled time, ``machine`` the state folder that ran it.

    ``attention`` is exit code 1: the command ran and found something. ``done_slot`` is the last slot that ended well.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    slot: AwareDatetime
    state: RunState
    attempt: int
    machine: str
    begun_at: AwareDatetime
    lease_until: AwareDatetime
    ended_at: AwareDatetime | None = None
    exit_code: int | None = None
    detail: str = ""
    done_slot: AwareDatetime | None = None

    def may_repeat(self, job: ScheduledJob, now: datetime) -> bool:
        """Return whether this ended run may be tried again now."""
        if self.state not in _AGAIN or self.attempt >= self._most_attempts(job):
            return False
        return self.state == "interrupted" or now >= (self.ended_at or self.begun_at) + RETRY_AFTER

    def is_final(self, job: ScheduledJob) -> bool:
        """Return whether this run has ended and will not be repeated."""
        return self.state != "running" and (self.state not in _AGAIN or self.attempt >= self._most_attempts(job))

    def _most_attempts(self, job: ScheduledJob) -> int:
        return max(job.attempts, _INTERRUPTED_ATTEMPTS) if self.state == "interrupted" else job.attempts


ClaimedRun = KeptRecord[RunRecord]  # a run that this process holds


class Runs:
    """The records of all jobs."""

    def __init__(self, place: SharedPlace, machine: str) -> None:
        """Keep the runs in ``place``; ``machine`` names the state folder, within which a lock tells whether a run lives."""
        self._records = KeptRecords(place, "run", RunRecord)
        self._machine = machine

    def read(self, job_id: str) -> RunRecord | None:
        """Return the newest run of a job as it was recorded."""
        kept = self._records.read(job_id)
        return None if kept is None else kept.record

    def seen(self, job_id: str, now: datetime) -> RunRecord | None:
        """Return the newest run of a job; one whose lease has run out counts as interrupted, although nobody recorded it."""
        record = self.read(job_id)
        if record is None or record.state != "running" or now < record.lease_until:
            return record
        return _interrupted(record, now)

    def claim(self, job: ScheduledJob, slot: datetime, now: datetime) -> ClaimedRun | None:
        """Take the run of ``slot``; None if it was run, is being run, may not be repeated yet, or another process was first.

        The caller holds the job's lock file: a run of this machine that is still marked as running has lost its process.
        """
        kept = self._records.read(job.id)
        before = None if kept is None else self._as_it_is(kept.record, now)
        attempt = 1
        if before is not None:
            if before.state == "running" or slot < before.slot:
                return None
            if slot == before.slot:
                if not before.may_repeat(job, now):
                    return None
                attempt = before.attempt + 1
        record = RunRecord(
            slot=slot,
            state="running",
            attempt=attempt,
            machine=self._machine,
            begun_at=now,
            lease_until=now + job.timeout + _LEASE_MARGIN,
            done_slot=None if before is None else before.done_slot,
        )
        return self._records.write(job.id, record, replaces=kept)

    def finish(self, job: ScheduledJob, claimed: ClaimedRun, ended: RunRecord) -> None:
        """Record how a claimed run ended, unless another process has taken over since."""
        self._records.write(job.id, ended, replaces=claimed)

    def settle(self, job: ScheduledJob, now: datetime) -> RunRecord | None:
        """Return the newest run as it is; one whose process is gone is recorded as interrupted first.

        The caller holds the job's lock file.
        """
        kept = self._records.read(job.id)
        if kept is None:
            return None
        found = self._as_it_is(kept.record, now)
        if found is not kept.record:
            self._records.write(job.id, found, replaces=kept)
        return found

    def _as_it_is(self, record: RunRecord, now: datetime) -> RunRecord:
        gone = record.machine == self._machine or now >= record.lease_until
        if record.state != "running" or not gone:
            return record
        return _interrupted(record, now)


def _interrupted(record: RunRecord, now: datetime) -> RunRecord:
    return record.model_copy(
        update={"state": "interrupted", "ended_at": now, "detail": "the scheduler ended before the command did"}
    )
