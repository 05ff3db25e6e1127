"""A tenant's calls in pages, newest first: the index ``by_date`` selects the day, filters select state and form."""

import base64
import binascii
import re
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from service.calls.keys import is_call_id
from service.calls.store.states import BY_DATE, CallJob, State, job_of
from service.kit.aws.bounded import translated

MOST = 100
# DynamoDB filters items after reading them: after this many reads of `MOST` items the page ends, even if it is short.
_MOST_READS = 10
_MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\+00:00")


class WrongCursor(Exception):
    """The cursor was not issued by this service, or belongs to another day."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """Some calls; ``after`` is the next page's cursor, None on the last page. A filtered page may be short or empty."""

    jobs: tuple[CallJob, ...]
    after: str | None


class CallPages:
    """Reads pages of the table of calls. Blocking; raises ``StoreError`` when DynamoDB does not answer."""

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
        """Return up to ``limit`` calls, filtered by UTC ``day``, state and form if given.

        Raises:
            WrongCursor: ``after`` is not a cursor, or is one of another day.
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
        if len(found) > limit:  # a filtered read can return too many: the next page reads the rest again
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
    """Return DynamoDB's start key. Only time and call come from the cursor; the tenant is always the caller's own."""
    try:
        text = base64.b64decode(after + "=" * (-len(after) % 4), altchars=b"-_", validate=True).decode("ascii")
        moment, _, call_id = text.partition("#")
        if not _MOMENT.fullmatch(moment) or not is_call_id(call_id):
            raise ValueError
        datetime.fromisoformat(moment)
    except (ValueError, binascii.Error):
        raise WrongCursor("the cursor was not issued by this service") from None
    if day is not None and not moment.startswith(day.isoformat()):
        raise WrongCursor("the cursor belongs to another day than the requested one")
    return {"pk": {"S": f"TENANT#{tenant}"}, "call_date": {"S": moment}, "sk": {"S": f"CALL#{call_id}"}}
