"""The interaction history in DynamoDB: one bounded query per request, read newest first, returned oldest first."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

import anyio
import anyio.to_thread
import stamina

from service.aws import MAX_CONNECTIONS
from service.errors import StoreError
from service.interaction import HistoryFilter, Interaction
from service.stores.calls import FIRST_WAIT_S, LONGEST_WAIT_S, StoreDropped, StoreThrottled, translated
from service.stores.interaction_items import (
    ATTRIBUTES,
    PARTITION_KEY,
    SORT_KEY,
    MalformedItemError,
    from_item,
    key_range,
    sort_key,
    to_item,
)
from service.stores.tables import make_table, plain_table
from service.telemetry import Event, account_hash, log

_BATCH = 25  # BatchWriteItem's limit
_BATCH_ATTEMPTS = 8
# DynamoDB applies Limit before the filter: with a filter a page of `max_interactions` items may hold no match, so pages
# are read larger than what is still wanted. A page never carries more than 1 MB whatever the limit.
_FILTERED_PAGE_FACTOR = 4
_LARGEST_PAGE = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class InteractionPage:
    """What one request sees, oldest first, and what reading it took. ``query`` is for people and names no account."""

    interactions: tuple[Interaction, ...]
    query: str
    consumed_capacity: float = 0.0
    pages: int = 0
    skipped: int = 0
    throttled: int = 0


class InteractionReader(Protocol):
    """Where a request gets a customer's interactions from."""

    async def history(self, account_number: str, history_filter: HistoryFilter, as_of: datetime) -> InteractionPage:
        """Return the newest interactions that pass the filter, oldest first.

        Raises:
            StoreError: no answer in time.
        """
        ...


class InteractionStore:
    """Reads and writes one DynamoDB table; ``timeout_s`` bounds a whole read, with all its pages and waiting."""

    def __init__(
        self, client: Any, table: str, *, timeout_s: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._client = client
        self._table = table
        self._timeout_s = timeout_s
        self._clock = clock
        self._threads = anyio.CapacityLimiter(MAX_CONNECTIONS)

    async def history(self, account_number: str, history_filter: HistoryFilter, as_of: datetime) -> InteractionPage:
        """See ``InteractionReader.history``. Malformed items are logged, counted and left out."""
        account = account_hash(account_number)
        log(Event.DYNAMODB_QUERY_START, account=account, table=self._table)
        started = self._clock()
        try:
            with anyio.fail_after(self._timeout_s):
                page = await anyio.to_thread.run_sync(
                    self._read,
                    account_number,
                    history_filter,
                    as_of,
                    started + self._timeout_s,
                    abandon_on_cancel=True,
                    limiter=self._threads,
                )
        except (TimeoutError, StoreError) as err:
            elapsed_ms = round((self._clock() - started) * 1000)
            log(Event.DYNAMODB_QUERY_FAILURE, account=account, table=self._table, latency_ms=elapsed_ms)
            if isinstance(err, StoreError):
                raise
            raise StoreError(f"table {self._table!r} gave no answer within {self._timeout_s:g} s") from err
        log(
            Event.DYNAMODB_QUERY_SUCCESS,
            account=account,
            table=self._table,
            latency_ms=round((self._clock() - started) * 1000),
            interactions=len(page.interactions),
            pages=page.pages,
            skipped=page.skipped,
            throttled=page.throttled,
            consumed_capacity=page.consumed_capacity,
        )
        return page

    def _read(self, account_number: str, wanted: HistoryFilter, as_of: datetime, deadline: float) -> InteractionPage:
        oldest, newest = key_range(wanted.since(as_of), as_of)
        arguments = self._query(account_number, oldest, newest, wanted)
        found: list[Interaction] = []
        capacity, pages, skipped, throttled = 0.0, 0, 0, 0
        # An empty filter lets nothing through, and `IN ()` is no expression.
        more = wanted.channel_filter != ()
        while more:
            # The caller may have left already; a thread cannot be cancelled, so it checks for itself.
            if self._clock() >= deadline:
                raise StoreError(f"table {self._table!r}: no end after {pages} pages and {self._timeout_s:g} s")
            missing = wanted.max_interactions - len(found)
            limit = missing if wanted.channel_filter is None else min(missing * _FILTERED_PAGE_FACTOR, _LARGEST_PAGE)
            answer, repeated = self._page(arguments, limit, deadline)
            pages += 1
            throttled += repeated
            capacity += float(answer.get("ConsumedCapacity", {}).get("CapacityUnits", 0.0))
            for item in answer["Items"]:
                try:
                    found.append(from_item(item))
                except MalformedItemError as err:
                    skipped += 1
                    log(
                        Event.DYNAMODB_ITEM_SKIPPED,
                        account=account_hash(account_number),
                        table=self._table,
                        reason=str(err),
                    )
            more = "LastEvaluatedKey" in answer and len(found) < wanted.max_interactions
            if more:
                arguments["ExclusiveStartKey"] = answer["LastEvaluatedKey"]
        return InteractionPage(
            interactions=tuple(wanted.apply(found, as_of)),
            query=self._description(oldest, newest, wanted),
            consumed_capacity=capacity,
            pages=pages,
            skipped=skipped,
            throttled=throttled,
        )

    def _page(self, arguments: dict[str, Any], limit: int, deadline: float) -> tuple[dict[str, Any], int]:
        # A hot partition throttles for milliseconds at a time: asked again in small steps as long as the read may take.
        for attempt in stamina.retry_context(
            on=(StoreThrottled, StoreDropped),
            attempts=None,
            timeout=max(deadline - self._clock() - 2 * LONGEST_WAIT_S, 0.001),
            wait_initial=FIRST_WAIT_S,
            wait_max=LONGEST_WAIT_S,
            wait_jitter=FIRST_WAIT_S,
        ):
            with attempt, translated(f"table {self._table!r}"):
                return self._client.query(**arguments, Limit=limit), attempt.num - 1
        raise AssertionError("retry_context ends with a return or a raise")

    def _query(self, account_number: str, oldest: str, newest: str, wanted: HistoryFilter) -> dict[str, Any]:
        values = {":account": {"S": account_number}, ":oldest": {"S": oldest}, ":newest": {"S": newest}}
        arguments: dict[str, Any] = {
            "TableName": self._table,
            "KeyConditionExpression": "#account = :account AND #occurred BETWEEN :oldest AND :newest",
            "ProjectionExpression": ", ".join(ATTRIBUTES),
            "ExpressionAttributeNames": {"#account": PARTITION_KEY, **ATTRIBUTES},
            "ExpressionAttributeValues": values,
            "ScanIndexForward": False,
            "ReturnConsumedCapacity": "TOTAL",
        }
        if wanted.channel_filter:
            names = {f":channel{number}": {"S": str(channel)} for number, channel in enumerate(wanted.channel_filter)}
            arguments["FilterExpression"] = f"#channel IN ({', '.join(names)})"
            values |= names
        return arguments

    def _description(self, oldest: str, newest: str, wanted: HistoryFilter) -> str:
        channels = (
            "any channel" if wanted.channel_filter is None else f"channel in ({', '.join(wanted.channel_filter)})"
        )
        return (
            f"Query {self._table}: one account, {SORT_KEY} from {oldest} to {newest.rstrip('$')}, newest first, "
            f"{channels}, at most {wanted.max_interactions}"
        )

    def put_many(self, account_number: str, interactions: Sequence[Interaction]) -> None:
        """Write interactions of one customer, over those with the same time and id. Blocking; for samples and tests.

        Raises:
            StoreError: the table does not take them.
        """
        self._write([{"PutRequest": {"Item": to_item(account_number, item)}} for item in interactions])

    def replace(self, account_number: str, interactions: Sequence[Interaction]) -> None:
        """Make ``interactions`` the customer's whole history. Blocking; for samples.

        Raises:
            StoreError: the table does not answer.
        """
        gone = sorted(set(self._sort_keys(account_number)) - {sort_key(item) for item in interactions})
        self._write(
            [{"DeleteRequest": {"Key": {PARTITION_KEY: {"S": account_number}, SORT_KEY: {"S": key}}}} for key in gone]
        )
        self.put_many(account_number, interactions)

    def _sort_keys(self, account_number: str) -> Iterator[str]:
        with translated(f"table {self._table!r}"):
            pages = self._client.get_paginator("query").paginate(
                TableName=self._table,
                KeyConditionExpression="#account = :account",
                ProjectionExpression="#occurred",
                ExpressionAttributeNames={"#account": PARTITION_KEY, "#occurred": SORT_KEY},
                ExpressionAttributeValues={":account": {"S": account_number}},
            )
            for page in pages:
                yield from (item[SORT_KEY]["S"] for item in page["Items"])

    def _write(self, requests: list[dict[str, Any]]) -> None:
        for start in range(0, len(requests), _BATCH):
            left = requests[start : start + _BATCH]
            for _ in range(_BATCH_ATTEMPTS):
                with translated(f"table {self._table!r}"):
                    answer = self._client.batch_write_item(RequestItems={self._table: left})
                left = answer.get("UnprocessedItems", {}).get(self._table, [])
                if not left:
                    break
            else:
                raise StoreError(
                    f"table {self._table!r} left {len(left)} writes undone after {_BATCH_ATTEMPTS} attempts"
                )


def create_table(client: Any, name: str) -> bool:
    """Create the interactions table; return False when it exists already.

    Raises:
        ConfigurationError: a table of this name has other keys.
        StoreError: DynamoDB does not answer.
    """
    return make_table(client, plain_table(name, PARTITION_KEY, SORT_KEY), variable="OMNI_INTERACTIONS_TABLE")
