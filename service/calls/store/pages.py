"""A tenant's calls in pages, the newest call first: by day in the index ``by_date``, by state and form among what it holds."""

import base64
import binascii
import re
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from service.aws.bounded import translated
from service.calls.keys import is_call_id
from service.calls.store.states import BY_DATE, CallJob, State, job_of

MOST = 100
# Filters drop items after DynamoDB has read them: so many reads of `MOST` items at most, then the page ends where it is.
_MOST_READS = 10
_MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\+00:00")


class WrongCursor(Exception):
    """The cursor is none of ours, or one of another day."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """Some calls; ``after`` is where the next page begins, None on the last. A page with a filter may be short, even empty."""

    jobs: tuple[CallJob, ...]
    after: str | None


class CallPages:
    """Blocking calls of the table of calls; raises ``StoreError`` when DynamoDB does not answer."""

    def __init__(self, client: Any, table: str) -> None:
        self._client = client
        self._table = table
        self._store = f"table {table!r}"

    def page(
        self,
        tenant: str,
        *,
        limit: int,
        day: date | None = None,
        state: State | None = None,
        form_id: str | None = None,
        after: str | None = None,
    ) -> Page:
        """Return up to ``limit`` calls, those of the UTC ``day``, state and form where they are given.

        Raises:
            WrongCursor: ``after`` came from no page of this day.
        """
        partition = {"S": f"TENANT#{tenant}"}
        key, values, names, wanted = "pk = :tenant", {":tenant": partition}, {}, []
        if day is not None:
            key, values[":day"] = f"{key} AND begins_with(call_date, :day)", {"S": day.isoformat()}
        for name, value in (("state", state), ("form_id", form_id)):
            if value is not None:
                names[f"#{name}"], values[f":{name}"] = name, {"S": value}
                wanted.append(f"#{name} = :{name}")
        asked: dict[str, Any] = (
            {"FilterExpression": " AND ".join(wanted), "ExpressionAttributeNames": names} if wanted else {}
        )
        start = None if after is None else _start(after, tenant, day)
        found: list[CallJob] = []
        with translated(self._store):
            for _ in range(_MOST_READS):
                answer = self._client.query(
                    TableName=self._table,
                    IndexName=BY_DATE,
                    KeyConditionExpression=key,
                    ExpressionAttributeValues=values,
                    ScanIndexForward=False,
                    Limit=MOST if wanted else limit - len(found),
                    **asked,
                    **({"ExclusiveStartKey": start} if start else {}),
                )
                found += [job_of(item) for item in answer["Items"]]
                start = answer.get("LastEvaluatedKey")
                if start is None or len(found) >= limit:
                    break
        if len(found) > limit:  # of a filtered read of many: the rest is read again by whoever asks for the next page
            found = found[:limit]
            return Page(jobs=tuple(found), after=_cursor(found[-1].call_date, found[-1].call_id))
        return Page(jobs=tuple(found), after=None if start is None else _cursor_of(start))


def _cursor(call_date: datetime, call_id: str) -> str:
    return _encoded(f"{call_date.isoformat(timespec='milliseconds')}#{call_id}")


def _cursor_of(start: dict[str, Any]) -> str:
    return _encoded(f"{start['call_date']['S']}#{start['sk']['S'].removeprefix('CALL#')}")


def _encoded(text: str) -> str:
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def _start(after: str, tenant: str, day: date | None) -> dict[str, Any]:
    """Return where DynamoDB goes on. Only moment and call are the cursor's: the tenant is the asker's own, always."""
    try:
        text = base64.b64decode(after + "=" * (-len(after) % 4), altchars=b"-_", validate=True).decode("ascii")
        moment, _, call_id = text.partition("#")
        if not _MOMENT.fullmatch(moment) or not is_call_id(call_id):
            raise ValueError
        datetime.fromisoformat(moment)
    except (ValueError, binascii.Error):
        raise WrongCursor("the cursor is not one that this service gave") from None
    if day is not None and not moment.startswith(day.isoformat()):
        raise WrongCursor("the cursor is of another day than the one asked for")
    return {"pk": {"S": f"TENANT#{tenant}"}, "call_date": {"S": moment}, "sk": {"S": f"CALL#{call_id}"}}
