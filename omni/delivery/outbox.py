"""Keeps reports until every destination has them: each gets a report once, and a failure is shown and tried again later."""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from typing import Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, ValidationError

from omni.delivery.destinations import Destination
from omni.delivery.outgoing import DeliveryFailed, Outgoing
from omni.records import KeptRecord, KeptRecords, SharedPlace
from service.kit.frame.retries import RetryPlan

DeliveryState = Literal["waiting", "sending", "delivered", "given up"]
# Raises DeliveryFailed; returns a remark.
SendReport = Callable[[Outgoing, Destination], str]

KEEP_TRYING = timedelta(days=3)
# Between turns, and between the tries of one turn.
_TURNS = RetryPlan(first_s=60, longest_s=3600)
# Longer than the three tries of one turn may take. A sender that died left it open whether the report arrived; it is sent again.
_LEASE = timedelta(minutes=5)
_TRIES = RetryPlan(first_s=0.5, longest_s=5.0, jitter_s=1.0, attempts=3)
_SEPARATOR = ":"  # in neither report ids nor names of destinations


class DeliveryRecord(BaseModel):
    """One report for one destination. ``attempts`` are turns of up to three tries; ``detail`` is the last failure or a remark."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    report_id: str
    to: str
    title: str
    state: DeliveryState
    kept_at: AwareDatetime
    next_at: AwareDatetime
    attempts: int = 0
    delivered_at: AwareDatetime | None = None
    detail: str = ""

    def is_due(self, now: datetime) -> bool:
        """Return whether it may be sent now; one that is being sent is due again when its lease has run out."""
        return self.state in ("waiting", "sending") and now >= self.next_at


KeptDelivery = KeptRecord[DeliveryRecord]


@dataclass(frozen=True, kw_only=True)
class ReportOutbox:
    """Reports on their way."""

    place: SharedPlace
    destinations: Mapping[str, Destination]
    send: SendReport
    now: Callable[[], datetime]
    sleep: Callable[[float], None] = time.sleep
    _records: KeptRecords[DeliveryRecord] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_records", KeptRecords(self.place, "delivery", DeliveryRecord))

    def keep(self, report: Outgoing, to: Iterable[str]) -> list[DeliveryRecord]:
        """Keep a report for each destination, and return what is new; what a destination has or waits for stays as it is."""
        now, names = self.now(), list(to)
        missing = [name for name in names if self._records.read(_name(report.report_id, name)) is None]
        if not missing:
            return []
        self.place.objects.put(report.report_id, report.model_dump_json().encode())  # first: a record needs its content
        made = [
            DeliveryRecord(
                report_id=report.report_id, to=name, title=report.title, state="waiting", kept_at=now, next_at=now
            )
            for name in missing
        ]
        return [record for record in made if self._write(record, None)]

    def send_due(self) -> list[DeliveryRecord]:
        """Send what is due, and return the records of what was tried and of what cannot be: its record is unreadable."""
        tried = []
        for record, kept in self._kept():
            if kept is None:
                tried.append(record)
            elif record.is_due(self.now()) and (sent := self._turn(record, kept)) is not None:
                tried.append(sent)
        return tried

    def send_again(self, report_id: str = "") -> list[DeliveryRecord]:
        """Send everything that has not arrived now, whatever its next time; ``report_id`` names one report."""
        now, tried = self.now(), []
        for record, kept in self._kept():
            being_sent = record.state == "sending" and now < record.next_at
            if record.state == "delivered" or being_sent or report_id not in ("", record.report_id):
                continue
            if kept is None:
                tried.append(record)
                continue
            fresh = record.model_copy(update={"kept_at": now})  # the days of trying begin anew
            sent = self._turn(fresh, kept)
            tried += [] if sent is None else [sent]
        return tried

    def all(self) -> list[DeliveryRecord]:
        """Return every record, the newest first."""
        return sorted((record for record, _ in self._kept()), key=lambda record: record.kept_at, reverse=True)

    def _kept(self) -> Iterator[tuple[DeliveryRecord, KeptDelivery | None]]:
        """All deliveries; without a kept record where it cannot be read, which stays as it is for whoever can read it."""
        for name, kept in self._records.all().items():
            yield self._unreadable(name) if kept is None else kept.record, kept

    def _unreadable(self, name: str) -> DeliveryRecord:
        now, (report_id, _, to) = self.now(), name.partition(_SEPARATOR)
        where = self._records.place(name)
        detail = f"its record cannot be read: delete {where}, and look whether the report arrived"
        return DeliveryRecord(
            report_id=report_id, to=to, title="", state="given up", kept_at=now, next_at=now, detail=detail
        )

    def _turn(self, record: DeliveryRecord, kept: KeptDelivery) -> DeliveryRecord | None:
        """Claim the delivery, send it, and record the outcome; None if another process was first."""
        now = self.now()
        sending = record.model_copy(update={"state": "sending", "next_at": now + _LEASE})
        claimed = self._write(sending, kept)
        if claimed is None:
            return None
        try:
            remark = self._send(record)
        except DeliveryFailed as err:
            ended = self._failed(record, err)
        else:
            ended = record.model_copy(
                update={
                    "state": "delivered",
                    "attempts": record.attempts + 1,
                    "delivered_at": self.now(),
                    "detail": remark,
                }
            )
        if self._write(ended, claimed) is not None:
            self._clear(record.report_id)
        return ended

    def _send(self, record: DeliveryRecord) -> str:
        content = self.place.objects.get(record.report_id)
        if content is None:
            raise DeliveryFailed("the kept report is gone; make it again", passing=False)
        destination = self.destinations.get(record.to)
        if destination is None:
            raise DeliveryFailed(f"the schedule names no destination {record.to!r} any more", passing=False)
        try:
            report = Outgoing.model_validate_json(content)
        except ValidationError as err:
            raise DeliveryFailed("the kept report cannot be read; make it again", passing=False) from err
        return _TRIES.run(partial(self.send, report, destination), on=DeliveryFailed, if_=_may_pass, sleep=self.sleep)

    def _failed(self, record: DeliveryRecord, err: DeliveryFailed) -> DeliveryRecord:
        now, attempts = self.now(), record.attempts + 1
        pause = timedelta(seconds=_TURNS.pause_s(attempts))
        if err.retry_after_s is not None:
            pause = max(pause, min(timedelta(seconds=err.retry_after_s), timedelta(days=1)))
        over = now + pause >= record.kept_at + KEEP_TRYING
        return record.model_copy(
            update={
                "state": "given up" if over else "waiting",
                "attempts": attempts,
                "next_at": now + pause,
                "detail": str(err),
            }
        )

    def _clear(self, report_id: str) -> None:
        """Delete the content once every destination has it; the records stay, so that nothing is delivered twice."""
        if all(record.state == "delivered" for record, _ in self._kept() if record.report_id == report_id):
            self.place.objects.delete(report_id)

    def _write(self, record: DeliveryRecord, replaces: KeptDelivery | None) -> KeptDelivery | None:
        return self._records.write(_name(record.report_id, record.to), record, replaces=replaces)


def _may_pass(err: Exception) -> bool:
    # A webhook that says when to ask again is not asked before that.
    return isinstance(err, DeliveryFailed) and err.passing and err.retry_after_s is None


def _name(report_id: str, to: str) -> str:
    return f"{report_id}{_SEPARATOR}{to}"
