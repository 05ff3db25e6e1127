"""The state of each call, in DynamoDB: one item per call under its tenant, changed by conditional writes only.

received -> transcribed -> redacted -> scored -> done or needs_review; from any of the first four also failed. A worker holds a
lease on its call, which expires when the worker dies. The index ``by_open`` holds only unfinished calls, ``by_date`` all calls by
the time of the call.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from botocore.exceptions import ClientError

from service.calls.failure import CallErased, FailureReason, NotReady
from service.calls.keys import CallObject
from service.calls.store.call_score import CallScore, score_of, texts_of
from service.kit.aws.bounded import translated
from service.kit.aws.stores import CALLS

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
_BY_OPEN, BY_DATE = (index.name for index in CALLS.indexes)
_LOST = "ConditionalCheckFailedException"


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

    def __init__(
        self, client: Any, table: str, *, is_erased: Callable[[CallObject], bool] = lambda source: False
    ) -> None:
        """``is_erased`` tells of a call whether its customer was erased."""
        self.is_erased = is_erased
        self._client = client
        self._table = table
        self._store = f"table {table!r}"

    def claim(self, source: CallObject, *, owner: str, now: datetime, lease: timedelta) -> CallJob:
        """Take the lease of a new or unfinished call and return it in its current state; an ended call is only returned.

        A lease that ``owner`` itself could not give back, because the store did not answer, is renewed.

        Raises:
            NotReady: another worker holds the lease.
            CallErased: the call's customer was erased.
        """
        if self.is_erased(source):
            raise CallErased("the customer of this call was erased")
        until = _seconds(now + lease)
        values = {
            ":owner": {"S": owner},
            ":until": {"N": until},
            ":now": {"N": _seconds(now)},
            ":at": {"S": _text(now)},
            ":date": {"S": _text(now)},
            ":received": {"S": "received"},
            ":key": {"S": source.key},
            ":etag": {"S": source.etag},
            ":version": {"S": source.version},
            ":one": {"N": "1"},
            ":tenant": {"S": source.tenant},
            **{f":{state}": {"S": state} for state in ENDED},
        }
        free = "(attribute_not_exists(lease_until) OR lease_until < :now OR #owner = :owner)"
        going = f"attribute_not_exists(pk) OR (NOT #state IN ({', '.join(f':{state}' for state in sorted(ENDED))}) AND {free})"
        with translated(self._store):
            try:
                found = self._client.update_item(
                    TableName=self._table,
                    Key=_key(source.tenant, source.call_id),
                    UpdateExpression=(
                        "SET #owner = :owner, lease_until = :until, #open = :tenant, updated_at = :at, "
                        "#state = if_not_exists(#state, :received), call_date = if_not_exists(call_date, :date), "
                        "object_key = if_not_exists(object_key, :key), etag = if_not_exists(etag, :etag), "
                        "version = if_not_exists(version, :version), received_at = if_not_exists(received_at, :at) "
                        "ADD attempts :one"
                    ),
                    ConditionExpression=going,
                    ExpressionAttributeNames={"#owner": "owner", "#state": "state", "#open": "open"},
                    ExpressionAttributeValues=values,
                    ReturnValues="ALL_NEW",
                )
            except ClientError as err:
                if _code(err) != _LOST:
                    raise
                found = None
        if found is not None:
            return job_of(found["Attributes"])
        job = self.get(source.tenant, source.call_id)
        if job is not None and job.state in ENDED:
            return job
        raise NotReady(f"call {source.call_id!r} is held by another worker")

    def register(self, source: CallObject, *, now: datetime) -> CallJob:
        """Write a new call down as received, without a lease; return the call as it is, also when it was there before."""
        item = {
            **_key(source.tenant, source.call_id),
            "state": {"S": "received"},
            "open": {"S": source.tenant},
            "object_key": {"S": source.key},
            "etag": {"S": source.etag},
            "version": {"S": source.version},
            "attempts": {"N": "0"},
            **{name: {"S": _text(now)} for name in ("call_date", "updated_at", "received_at")},
        }
        with translated(self._store):
            try:
                self._client.put_item(TableName=self._table, Item=item, ConditionExpression="attribute_not_exists(pk)")
            except ClientError as err:
                if _code(err) != _LOST:
                    raise
            else:
                return job_of(item)
        found = self.get(source.tenant, source.call_id)
        return found if found is not None else job_of(item)

    def waiting(self, tenant: str, *, owner: str, now: datetime) -> Iterator[CallJob]:
        """Yield a tenant's unfinished calls that nobody but ``owner`` holds and that wait for no transcription, oldest first."""
        yield from self._query(
            IndexName=_BY_OPEN,
            KeyConditionExpression="#open = :tenant",
            FilterExpression=(
                "attribute_not_exists(awaiting) AND "
                "(attribute_not_exists(lease_until) OR lease_until < :now OR #owner = :owner)"
            ),
            ExpressionAttributeNames={"#open": "open", "#owner": "owner"},
            ExpressionAttributeValues={":tenant": {"S": tenant}, ":owner": {"S": owner}, ":now": {"N": _seconds(now)}},
            PaginationConfig={"PageSize": 50},
        )

    def get(self, tenant: str, call_id: str) -> CallJob | None:
        """Return a tenant's call, or None."""
        with translated(self._store):
            found = self._client.get_item(TableName=self._table, Key=_key(tenant, call_id), ConsistentRead=True)
        return job_of(found["Item"]) if "Item" in found else None

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
        sets = {name: {"S": str(value)} for name, value in said.items() if value is not None}
        text = "SET #state = :state, updated_at = :at, attempts = :zero"
        values = {":state": {"S": state}, ":at": {"S": _text(now)}, ":before": {"S": job.state}, ":zero": {"N": "0"}}
        names = {"#state": "state", "#owner": "owner"}
        if state in ENDED:
            removes = " REMOVE #owner, lease_until, #open, awaiting"
            names["#open"] = "open"
        else:
            text, removes = text + ", lease_until = :until", " REMOVE awaiting"
            values[":until"] = {"N": _seconds(now + lease)}
        text += "".join(f", #{name} = :{name}" for name in sets) + removes
        names |= {f"#{name}": name for name in sets}
        values |= {f":{name}": value for name, value in sets.items()} | {":owner": {"S": job.owner or ""}}
        self._update(job, text, "#state = :before AND #owner = :owner", names, values)
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
        text = "SET awaiting = :awaiting " if awaiting else ""
        values = {":owner": {"S": job.owner or ""}, **({":awaiting": {"S": awaiting}} if awaiting else {})}
        try:
            self._update(job, f"{text}REMOVE #owner, lease_until", "#owner = :owner", {"#owner": "owner"}, values)
        except StateLost:
            return  # another worker has taken it: there is no lease to release

    def renew(self, job: CallJob, *, now: datetime, lease: timedelta, since: datetime) -> None:
        """Lengthen the lease of the job's owner, if the call was claimed or moved to its state after ``since``.

        Raises:
            StateLost: the call stands still, has ended, was released, or another worker has taken it.
        """
        values = {
            ":owner": {"S": job.owner or ""}, ":until": {"N": _seconds(now + lease)}, ":since": {"S": _text(since)}
        }  # fmt: skip
        going = "#owner = :owner AND updated_at >= :since"
        self._update(job, "SET lease_until = :until", going, {"#owner": "owner"}, values)

    def reopen(self, job: CallJob, *, now: datetime, source: CallObject | None = None, was: State = "failed") -> bool:
        """Reset a call that ended as ``was`` to its first state, to be read from ``source``; return False when it changed."""
        source = source or job.source
        text = (
            "SET object_key = :key, version = :version, #state = :received, updated_at = :at, attempts = :zero, "
            "#open = :tenant REMOVE reason, detail, result_key, form_id, form_version, percentage, passed"
        )
        values = {
            ":received": {"S": "received"}, ":at": {"S": _text(now)}, ":zero": {"N": "0"}, ":tenant": {"S": job.tenant},
            ":was": {"S": was}, ":key": {"S": source.key}, ":version": {"S": source.version},
            ":before": {"S": job.source.version},
        }  # fmt: skip
        try:
            going = "#state = :was AND version = :before"
            self._update(job, text, going, {"#state": "state", "#open": "open"}, values)
        except StateLost:
            return False
        return True

    def rescored(self, job: CallJob, scored: CallScore, state: State, *, now: datetime) -> None:
        """Replace the score of a call that ended.

        Raises:
            StateLost: its state has changed.
        """
        texts = texts_of(scored)
        values = {f":{name}": {"S": text} for name, text in texts.items() if text is not None}
        gone = [f"#{name}" for name, text in texts.items() if text is None]
        text = f"SET #state = :state, updated_at = :at, {', '.join(f'#{name[1:]} = {name}' for name in values)}"
        text += f" REMOVE {', '.join(gone)}" if gone else ""
        values |= {":state": {"S": state}, ":at": {"S": _text(now)}, ":before": {"S": job.state}}
        names = {"#state": "state", **{f"#{name}": name for name in texts}}
        self._update(job, text, "#state = :before", names, values)

    def held(self, tenant: str, now: datetime) -> int:
        """Return how many calls of a tenant workers hold."""
        held = self._query(
            KeyConditionExpression="pk = :tenant AND begins_with(sk, :call)",
            FilterExpression="lease_until >= :now",
            ExpressionAttributeValues={
                ":tenant": {"S": _partition(tenant)}, ":call": {"S": _CALL}, ":now": {"N": _seconds(now)}
            },
            ConsistentRead=True,
        )  # fmt: skip
        return sum(1 for _ in held)

    def of(self, tenant: str) -> Iterator[CallJob]:
        """Yield all calls of a tenant."""
        yield from self._query(
            KeyConditionExpression="pk = :tenant AND begins_with(sk, :call)",
            ExpressionAttributeValues={":tenant": {"S": _partition(tenant)}, ":call": {"S": _CALL}},
            ConsistentRead=True,
        )

    def open_since(self, tenant: str, before: datetime) -> Iterator[CallJob]:
        """Yield a tenant's unfinished calls that have not changed since ``before``, oldest first."""
        yield from self._query(
            IndexName=_BY_OPEN,
            KeyConditionExpression="#open = :tenant AND updated_at < :before",
            ExpressionAttributeNames={"#open": "open"},
            ExpressionAttributeValues={":tenant": {"S": tenant}, ":before": {"S": _text(before)}},
        )

    def open_everywhere(self, before: datetime) -> Iterator[CallJob]:
        """Yield all tenants' unfinished calls that have not changed since ``before``; the index holds no others."""
        with translated(self._store):
            pages = self._client.get_paginator("scan").paginate(
                TableName=self._table,
                IndexName=_BY_OPEN,
                FilterExpression="updated_at < :before AND begins_with(sk, :call)",
                ExpressionAttributeValues={":before": {"S": _text(before)}, ":call": {"S": _CALL}},
            )
            for page in pages:
                for item in page["Items"]:
                    yield job_of(item)

    def _query(self, **asked: Any) -> Iterator[CallJob]:
        with translated(self._store):
            for page in self._client.get_paginator("query").paginate(TableName=self._table, **asked):
                for item in page["Items"]:
                    yield job_of(item)

    def _update(self, job: CallJob, text: str, condition: str, names: dict[str, str], values: dict[str, Any]) -> None:
        with translated(self._store):
            try:
                self._client.update_item(
                    TableName=self._table,
                    Key=_key(job.tenant, job.call_id),
                    UpdateExpression=text,
                    ConditionExpression=condition,
                    ExpressionAttributeNames=names,
                    ExpressionAttributeValues=values,
                )
            except ClientError as err:
                if _code(err) == _LOST:
                    raise StateLost(f"call {job.call_id!r} was changed by another worker") from err
                raise


def _partition(tenant: str) -> str:
    return f"TENANT#{tenant}"


def _key(tenant: str, call_id: str) -> dict[str, Any]:
    return {"pk": {"S": _partition(tenant)}, "sk": {"S": _CALL + call_id}}


def job_of(item: dict[str, Any]) -> CallJob:
    """Return the call in a table's item."""
    tenant, call_id = item["pk"]["S"].removeprefix("TENANT#"), item["sk"]["S"].removeprefix(_CALL)
    texts = {name: item[name]["S"] for name in ("owner", "awaiting", "result_key", "detail") if name in item}
    return CallJob(
        source=CallObject(
            tenant=tenant, key=item["object_key"]["S"], etag=item["etag"]["S"], version=item["version"]["S"]
        ),
        call_id=call_id,
        state=item["state"]["S"],
        call_date=datetime.fromisoformat(item["call_date"]["S"]),
        updated_at=datetime.fromisoformat(item["updated_at"]["S"]),
        attempts=int(item["attempts"]["N"]),
        reason=FailureReason(item["reason"]["S"]) if "reason" in item else None,
        scored=score_of(item),
        **texts,
    )


def _text(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="milliseconds")


def _seconds(moment: datetime) -> str:
    return f"{moment.timestamp():.3f}"


def _code(err: ClientError) -> str:
    return str(err.response.get("Error", {}).get("Code", ""))
