"""A tenant's calls in pages, newest first: the index ``by_date`` selects the day, filters select state and form."""

import base64
import binascii
import re
from dataclasses import dataclass
from datetime import date, datetime

from service.calls.keys import is_call_id
from service.calls.store.states import BY_DATE, CallJob, State, job_of
from service.core.unit.tenant import Tenant
from service.kit.records.conditions import begins, equal, every
from service.kit.records.items import Item
from service.kit.records.rows import Query, Rows

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

    def __init__(self, rows: Rows) -> None:
        self._rows = rows

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
        wanted = [equal(name, value) for name, value in (("state", state), ("form_id", form_id)) if value is not None]
        start = None if after is None else _start(after, tenant, day)
        found: list[CallJob] = []
        for _ in range(_MOST_READS):
            answer = self._rows.page(
                Query(
                    partition=Tenant(tenant).partition,
                    index=BY_DATE,
                    sort=None if day is None else begins("call_date", day.isoformat()),
                    where=every(*wanted) if wanted else None,
                    newest_first=True,
                    most=MOST if wanted else limit - len(found),
                    after=start,
                )
            )
            found += map(job_of, answer.items)
            start = answer.next
            if start is None or len(found) >= limit:
                break
        if len(found) > limit:  # a filtered read can return too many: the next page reads the rest again
            found = found[:limit]
            return Page(jobs=tuple(found), after=_cursor(found[-1].call_date, found[-1].call_id))
        return Page(jobs=tuple(found), after=None if start is None else _cursor_of(start))


def _cursor(call_date: datetime, call_id: str) -> str:
    return _encoded(f"{call_date.isoformat(timespec='milliseconds')}#{call_id}")


def _cursor_of(start: Item) -> str:
    return _encoded(f"{start['call_date']}#{start['sk'].removeprefix('CALL#')}")


def _encoded(text: str) -> str:
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def _start(after: str, tenant: str, day: date | None) -> Item:
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
    return {"pk": Tenant(tenant).partition, "call_date": moment, "sk": f"CALL#{call_id}"}
