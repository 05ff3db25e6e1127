"""Reads the interaction history from DynamoDB: one bounded query per request, newest first, returned oldest first."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import KW_ONLY, dataclass
from datetime import datetime
from typing import Any, Protocol

from service.core.unit.interaction import HistoryFilter, Interaction
from service.interactions.items import (
    ATTRIBUTES,
    PARTITION_KEY,
    SORT_KEY,
    MalformedItemError,
    from_item,
    key_range,
)
from service.kit.aws.bounded import StoreThrottled, StoreTimedOut
from service.kit.aws.queries import TableQueries, patient_query
from service.kit.frame.errors import StoreError
from service.kit.settings import Settings
from service.kit.telemetry import metrics, tracing
from service.kit.telemetry.log import Event, account_hash, log

# DynamoDB applies Limit before the filter: with a filter, a page of `max_interactions` items may hold no match, so pages are
# larger than the number of missing items. DynamoDB never returns more than 1 MB per page.
_FILTERED_PAGE_FACTOR = 4
_LARGEST_PAGE = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class InteractionPage:
    """The interactions for one request, oldest first, and what reading them cost. ``query`` is a text without the account."""

    interactions: tuple[Interaction, ...]
    query: str
    consumed_capacity: float = 0.0
    pages: int = 0
    skipped: int = 0
    throttled: int = 0


class InteractionReader(Protocol):
    """A source of customers' interactions."""

    async def history(self, account_number: str, history_filter: HistoryFilter, as_of: datetime) -> InteractionPage:
        """Return the newest interactions that pass the filter, oldest first."""


@dataclass(frozen=True, slots=True)
class InteractionStore:
    """Reads one DynamoDB table; ``timeout_s`` bounds a whole read, including all pages and retries."""

    queries: TableQueries
    table: str
    _: KW_ONLY
    timeout_s: float
    clock: Callable[[], float] = time.monotonic

    async def history(self, account_number: str, history_filter: HistoryFilter, as_of: datetime) -> InteractionPage:
        """See ``InteractionReader.history``. Malformed items are logged, counted and left out."""
        account = account_hash(account_number)
        log(Event.DYNAMODB_QUERY_START, account=account, table=self.table)
        started = self.clock()
        try:
            async with asyncio.timeout(self.timeout_s):
                page = await self._read(account_number, history_filter, as_of, started + self.timeout_s)
        except (TimeoutError, StoreError) as err:
            elapsed_ms = round((self.clock() - started) * 1000)
            cause = err.cause if isinstance(err, StoreError) else StoreTimedOut.cause
            log(Event.DYNAMODB_QUERY_FAILURE, account=account, table=self.table, latency_ms=elapsed_ms, reason=cause)
            if isinstance(err, StoreError):
                raise
            raise StoreTimedOut(f"table {self.table!r} gave no answer within {self.timeout_s:g} s") from err
        log(
            Event.DYNAMODB_QUERY_SUCCESS,
            account=account,
            table=self.table,
            latency_ms=round((self.clock() - started) * 1000),
            interactions=len(page.interactions),
            pages=page.pages,
            skipped=page.skipped,
            throttled=page.throttled,
            consumed_capacity=page.consumed_capacity,
        )
        return page

    async def _read(
        self, account_number: str, wanted: HistoryFilter, as_of: datetime, deadline: float
    ) -> InteractionPage:
        oldest, newest = key_range(wanted.since(as_of), as_of)
        arguments = self._query(account_number, oldest, newest, wanted)
        found: list[Interaction] = []
        capacity, pages, skipped, throttled = 0.0, 0, 0, 0
        # An empty filter matches nothing, and `IN ()` is not a valid expression.
        more = wanted.channel_filter != ()
        while more:
            left_s = deadline - self.clock()
            if left_s <= 0:
                raise StoreTimedOut(f"table {self.table!r}: not finished after {pages} pages and {self.timeout_s:g} s")
            missing = wanted.max_interactions - len(found)
            arguments["Limit"] = (
                missing if wanted.channel_filter is None else min(missing * _FILTERED_PAGE_FACTOR, _LARGEST_PAGE)
            )
            answer, repeated = await patient_query(self.queries, arguments, patience_s=left_s)
            if not isinstance(answer.get("Items"), list):
                raise StoreError(f"table {self.table!r} answered with no list of items")
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
                        table=self.table,
                        reason=str(err),
                    )
            if skipped and not found and "LastEvaluatedKey" not in answer:
                raise StoreError(f"table {self.table!r}: none of the {skipped} interactions can be read; see the log")
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

    def _query(self, account_number: str, oldest: str, newest: str, wanted: HistoryFilter) -> dict[str, Any]:
        values = {":account": {"S": account_number}, ":oldest": {"S": oldest}, ":newest": {"S": newest}}
        arguments: dict[str, Any] = {
            "TableName": self.table,
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
            f"Query {self.table}: one account, {SORT_KEY} from {oldest} to {newest.rstrip('$')}, newest first, "
            f"{channels}, at most {wanted.max_interactions}"
        )


class ObservedInteractions:
    """Passes reads on to another reader, in a span, and counts throttles."""

    def __init__(self, reader: InteractionReader) -> None:
        self._reader = reader

    async def history(self, account_number: str, history_filter: HistoryFilter, as_of: datetime) -> InteractionPage:
        """See ``InteractionReader.history``."""
        attributes = {"db.system.name": "aws.dynamodb", "db.operation.name": "Query"}
        with tracing.span("Query interactions", "client", attributes) as span:
            try:
                page = await self._reader.history(account_number, history_filter, as_of)
            except StoreError as err:
                if isinstance(err, StoreThrottled):
                    metrics.count(metrics.THROTTLES, "dynamodb")
                raise
            span.set("db.response.returned_rows", len(page.interactions))
            return page


def build_interactions(settings: Settings, queries: TableQueries) -> ObservedInteractions:
    """Return the reader of the table that the settings name, without contacting AWS."""
    stores = settings.stores
    return ObservedInteractions(
        InteractionStore(queries, stores.interactions_table, timeout_s=stores.history_timeout_s)
    )
