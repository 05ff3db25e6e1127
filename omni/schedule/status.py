"""What the schedule did and will do: each job's next and last run, and the deliveries that have not arrived."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from omni.delivery.outbox import DeliveryRecord
from omni.schedule.plan import ScheduledJob
from omni.schedule.runs import RunRecord
from omni.schedule.scheduler import Scheduler, delivery_line, late_words, run_line
from omni.schedule.times import newest_slot, next_slot

_LOOK_BACK = timedelta(days=400)
_NEWEST_DELIVERIES = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class JobStatus:
    """One job: when it runs next, its newest run, and the time that was missed and will not be made up for (None: none)."""

    job: ScheduledJob
    next_at: datetime
    last: RunRecord | None
    missed: datetime | None
    overdue: bool

    @property
    def well(self) -> bool:
        """Whether nothing about the job needs a person."""
        return self.missed is None and (self.last is None or self.last.state in ("done", "running"))


@dataclass(frozen=True, slots=True, kw_only=True)
class ScheduleStatus:
    """All jobs in the file's order, and all deliveries, the newest first."""

    jobs: tuple[JobStatus, ...]
    deliveries: tuple[DeliveryRecord, ...]

    @property
    def well(self) -> bool:
        """Whether every job ended well and every report arrived or has not been tried yet."""
        return all(item.well for item in self.jobs) and not any(_is_late(item) for item in self.deliveries)

    def lines(self) -> list[str]:
        """Return the status as text."""
        found = []
        for item in self.jobs:
            found.append(f"{item.job.id}: {item.job.what}")
            local = item.next_at.astimezone(ZoneInfo(item.job.zone))
            due = "due now" if item.overdue else f"next {local:%a %Y-%m-%d %H:%M} {item.job.zone}"
            found.append(f"    {due} (cron {item.job.cron})")
            if item.last is not None:
                found.append(f"    last {run_line(item.job, item.last).removeprefix(f'{item.job.id}: ')}")
            elif not item.overdue:
                found.append("    never ran")
            if item.missed is not None:
                allowed = late_words(item.job.catch_up.total_seconds())
                found.append(f"    missed {item.missed:%Y-%m-%d %H:%M} UTC: may begin at most {allowed} late")
        waiting = [item for item in self.deliveries if item.state != "delivered"]
        arrived = [item for item in self.deliveries if item.state == "delivered"][:_NEWEST_DELIVERIES]
        if waiting or arrived:
            found += ["", "Deliveries", *(f"    {delivery_line(item)}" for item in [*waiting, *arrived])]
        return found


def read_status(scheduler: Scheduler) -> ScheduleStatus:
    """Return the status of the scheduler's plan as it is now."""
    now = scheduler.now()
    jobs = tuple(_job_status(scheduler, job, now) for job in scheduler.plan.jobs)
    return ScheduleStatus(jobs=jobs, deliveries=tuple(scheduler.outbox.all()))


def _job_status(scheduler: Scheduler, job: ScheduledJob, now: datetime) -> JobStatus:
    last = scheduler.runs.seen(job.id, now)
    newest = newest_slot(job.cron, job.zone, now, within=_LOOK_BACK)
    open_slot = newest if newest is not None and last is not None and newest > last.slot else None
    in_time = newest is not None and now - newest <= job.catch_up
    return JobStatus(
        job=job,
        next_at=next_slot(job.cron, job.zone, now),
        last=last,
        missed=None if in_time else open_slot,
        overdue=in_time and (last is None or open_slot is not None),
    )


def _is_late(record: DeliveryRecord) -> bool:
    return record.state == "given up" or (record.state == "waiting" and record.attempts > 0)
