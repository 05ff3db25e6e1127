"""The state of each call, in DynamoDB: one item per call under its tenant, changed by conditional writes only.

received -> transcribed -> redacted -> scored -> done or needs_review; from any of the first four also failed. A worker holds a
lease on its call, which expires when the worker dies. The index ``by_open`` holds only unfinished calls, ``by_date`` all calls by
the time of the call.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Literal

from service.calls.failure import CallErased, FailureReason, NotReady
from service.calls.keys import CallObject
from service.core.unit.tenant import Tenant
from service.kit.aws.bounded import ItemChanged
from service.kit.aws.stores import CALLS
from service.kit.records.conditions import (
    Changes,
    RowCondition,
    absent,
    at_least,
    begins,
    below,
    either,
    equal,
    every,
    no,
    one_of,
)
from service.kit.records.items import Item, Key
from service.kit.records.lease import LeaseFields, seconds
from service.kit.records.rows import Query, Rows


@dataclass(frozen=True, slots=True, kw_only=True)
class CallScore:
    """The figures are None without a score."""

    form_id: str
    form_version: int
    percentage: Decimal | None
    passed: bool | None


def texts_of(scored: CallScore) -> dict[str, str | None]:
    """Return the attributes of a call's item; None: the item has none."""
    passed = None if scored.passed is None else "yes" if scored.passed else "no"
    percentage = None if scored.percentage is None else str(scored.percentage)
    return {
        "form_id": scored.form_id,
        "form_version": str(scored.form_version),
        "percentage": percentage,
        "passed": passed,
    }


def score_of(item: Item) -> CallScore | None:
    """Return what a call's item says; None without a score."""
    if "form_id" not in item:  # not scored, no usable answer, or scored before items held the score
        return None
    return CallScore(
        form_id=item["form_id"],
        form_version=int(item["form_version"]),
        percentage=Decimal(item["percentage"]) if "percentage" in item else None,
        passed=item["passed"] == "yes" if "passed" in item else None,
    )


State = Literal["received", "transcribed", "redacted", "scored", "done", "needs_review", "failed"]
ENDED: frozenset[State] = frozenset({"done", "needs_review", "failed"})
_BEFORE: dict[State, tuple[State, ...]] = {
    "transcribed": ("received",),
    "redacted": ("transcribed",),
    "scored": ("redacted",),
    "done": ("scored",),
    "needs_review": ("scored",),
    "failed": ("received", "transcribed", "redacted", "scored"),
}
_CALL = "CALL#"
_BY_OPEN, BY_DATE = CALLS.indexes
_LEASE = LeaseFields()


class StateLost(NotReady):
    """Another worker took the call meanwhile, and repeats or already has this worker's step."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CallJob:
    """One call's item. ``call_date`` is fixed when the call is transcribed; ``awaiting`` names a running transcription job."""

    source: CallObject
    call_id: str
    state: State
    call_date: datetime
    updated_at: datetime
    attempts: int
    owner: str | None = None
    awaiting: str | None = None
    result_key: str | None = None
    reason: FailureReason | None = None
    detail: str | None = None
    scored: CallScore | None = None

    @property
    def tenant(self) -> str:
        """The tenant of the call."""
        return self.source.tenant


class CallJobs:
    """Reads and writes the table of calls. Blocking; every method raises ``StoreError`` when DynamoDB does not answer."""

    def __init__(self, rows: Rows, *, is_erased: Callable[[CallObject], bool] = lambda source: False) -> None:
        """``is_erased`` tells of a call whether its customer was erased."""
        self.is_erased = is_erased
        self._rows = rows

    def claim(self, source: CallObject, *, owner: str, now: datetime, lease: timedelta) -> CallJob:
        """Take the lease of a new or unfinished call and return it in its current state; an ended call is only returned.

        A lease that ``owner`` itself could not give back, because the store did not answer, is renewed.

        Raises:
            NotReady: another worker holds the lease.
        """
        if self.is_erased(source):
            raise CallErased("the customer of this call was erased")
        changes = Changes(
            sets=_LEASE.taken(owner, (now + lease).timestamp()) | {"open": source.tenant, "updated_at": _text(now)},
            first={"state": "received", **_of(source), "call_date": _text(now), "received_at": _text(now)},
            adds={"attempts": 1},
        )
        going = every(no(one_of("state", sorted(ENDED))), _LEASE.free(owner, now.timestamp()))
        try:
            return job_of(
                self._rows.update(_key(source.tenant, source.call_id), changes, when=either(absent("pk"), going))
            )
        except ItemChanged:
            job = self.get(source.tenant, source.call_id)
        if job is not None and job.state in ENDED:
            return job
        raise NotReady(f"call {source.call_id!r} is held by another worker")

    def register(self, source: CallObject, *, now: datetime) -> CallJob:
        """Write a new call down as received, without a lease; return the call as it is, also when it was there before."""
        pk, sk = _key(source.tenant, source.call_id)
        item: Item = {"pk": pk, "sk": sk, "state": "received", "open": source.tenant, **_of(source), "attempts": 0}
        item |= dict.fromkeys(("call_date", "updated_at", "received_at"), _text(now))
        try:
            self._rows.put(item, when=absent("pk"))
        except ItemChanged:
            return self.get(source.tenant, source.call_id) or job_of(item)
        return job_of(item)

    def waiting(self, tenant: str, *, owner: str, now: datetime) -> Iterator[CallJob]:
        """Yield a tenant's unfinished calls that nobody but ``owner`` holds and that wait for no transcription, oldest first."""
        free = every(absent("awaiting"), _LEASE.free(owner, now.timestamp()))
        yield from self._query(Query(partition=tenant, index=_BY_OPEN, where=free, most=50))

    def get(self, tenant: str, call_id: str) -> CallJob | None:
        """Return a tenant's call, or None."""
        item = self._rows.get(_key(tenant, call_id))
        return None if item is None else job_of(item)

    def advance(
        self,
        job: CallJob,
        state: State,
        *,
        now: datetime,
        lease: timedelta,
        call_date: datetime | None = None,
        result_key: str | None = None,
        reason: FailureReason | None = None,
        detail: str | None = None,
        scored: CallScore | None = None,
    ) -> CallJob:
        """Move a call to its next state and reset its attempts; an end state also releases the lease.

        Raises:
            StateLost: its state has changed, or another worker has taken it.
        """
        assert job.state in _BEFORE[state], (job.state, state)
        said: dict[str, str | None] = {"result_key": result_key, "reason": reason, "detail": detail}
        said["call_date"] = None if call_date is None else _text(call_date)
        said |= {} if scored is None else texts_of(scored)
        sets: Item = {name: str(value) for name, value in said.items() if value is not None}
        sets |= {"state": state, "updated_at": _text(now), "attempts": 0}
        removes: tuple[str, ...] = ("awaiting",)
        if state in ENDED:
            removes += (*_LEASE.both, "open")
        else:
            sets[_LEASE.until] = seconds((now + lease).timestamp())
        self._update(job, Changes(sets=sets, removes=removes), every(equal("state", job.state), _held(job)))
        return replace(
            job,
            state=state,
            updated_at=now,
            attempts=0,
            call_date=call_date or job.call_date,
            result_key=result_key or job.result_key,
            reason=reason,
            detail=detail,
            scored=scored or job.scored,
            owner=None if state in ENDED else job.owner,
        )

    def release(self, job: CallJob, *, awaiting: str | None = None) -> None:
        """Release the lease of an unfinished call; ``awaiting`` names the transcription job that it waits for."""
        sets = {"awaiting": awaiting} if awaiting else {}
        try:
            self._update(job, Changes(sets=sets, removes=_LEASE.both), _held(job))
        except StateLost:
            return  # another worker has taken it: there is no lease to release

    def renew(self, job: CallJob, *, now: datetime, lease: timedelta, since: datetime) -> None:
        """Lengthen the lease of the job's owner, if the call was claimed or moved to its state after ``since``.

        Raises:
            StateLost: the call stands still, has ended, was released, or another worker has taken it.
        """
        sets = {_LEASE.until: seconds((now + lease).timestamp())}
        self._update(job, Changes(sets=sets), every(_held(job), at_least("updated_at", _text(since))))

    def reopen(self, job: CallJob, *, now: datetime, source: CallObject | None = None, was: State = "failed") -> bool:
        """Reset a call that ended as ``was`` to its first state, to be read from ``source``; return False when it changed."""
        source = source or job.source
        sets: Item = {"object_key": source.key, "version": source.version, "state": "received", "open": job.tenant}
        sets |= {"updated_at": _text(now), "attempts": 0}
        gone = ("reason", "detail", "result_key", "form_id", "form_version", "percentage", "passed")
        try:
            unchanged = every(equal("state", was), equal("version", job.source.version))
            self._update(job, Changes(sets=sets, removes=gone), unchanged)
        except StateLost:
            return False
        return True

    def rescored(self, job: CallJob, scored: CallScore, state: State, *, now: datetime) -> None:
        """Replace the score of a call that ended.

        Raises:
            StateLost: its state has changed.
        """
        texts = texts_of(scored)
        sets = {name: text for name, text in texts.items() if text is not None}
        gone = [name for name, text in texts.items() if text is None]
        changes = Changes(sets=sets | {"state": state, "updated_at": _text(now)}, removes=gone)
        self._update(job, changes, equal("state", job.state))

    def held(self, tenant: str, now: datetime) -> int:
        """Return how many calls of a tenant workers hold."""
        return sum(1 for _ in self._of(tenant, where=at_least(_LEASE.until, seconds(now.timestamp()))))

    def of(self, tenant: str) -> Iterator[CallJob]:
        """Yield all calls of a tenant."""
        yield from self._of(tenant)

    def open_since(self, tenant: str, before: datetime) -> Iterator[CallJob]:
        """Yield a tenant's unfinished calls that have not changed since ``before``, oldest first."""
        yield from self._query(Query(partition=tenant, index=_BY_OPEN, sort=below("updated_at", _text(before))))

    def open_everywhere(self, before: datetime) -> Iterator[CallJob]:
        """Yield all tenants' unfinished calls that have not changed since ``before``; the index holds no others."""
        unchanged = every(below("updated_at", _text(before)), begins("sk", _CALL))
        yield from map(job_of, self._rows.scan(where=unchanged, index=_BY_OPEN))

    def _of(self, tenant: str, where: RowCondition | None = None) -> Iterator[CallJob]:
        return self._query(Query(partition=Tenant(tenant).partition, sort=begins("sk", _CALL), where=where))

    def _query(self, query: Query) -> Iterator[CallJob]:
        return map(job_of, self._rows.query(query))

    def _update(self, job: CallJob, changes: Changes, when: RowCondition) -> None:
        try:
            self._rows.update(_key(job.tenant, job.call_id), changes, when=when)
        except ItemChanged as err:
            raise StateLost(f"call {job.call_id!r} was changed by another worker") from err


def job_of(item: Item) -> CallJob:
    """Return the call in a table's item."""
    tenant, call_id = item["pk"].removeprefix("TENANT#"), item["sk"].removeprefix(_CALL)
    texts = {name: item[name] for name in ("owner", "awaiting", "result_key", "detail") if name in item}
    return CallJob(
        source=CallObject(tenant=tenant, key=item["object_key"], etag=item["etag"], version=item["version"]),
        call_id=call_id,
        state=item["state"],
        call_date=datetime.fromisoformat(item["call_date"]),
        updated_at=datetime.fromisoformat(item["updated_at"]),
        attempts=item["attempts"],
        reason=FailureReason(item["reason"]) if "reason" in item else None,
        scored=score_of(item),
        **texts,
    )


def _held(job: CallJob) -> RowCondition:
    return _LEASE.held(job.owner or "")


def _of(source: CallObject) -> Item:
    return {"object_key": source.key, "etag": source.etag, "version": source.version}


def _key(tenant: str, call_id: str) -> Key:
    return Tenant(tenant).partition, _CALL + call_id


def _text(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="milliseconds")
