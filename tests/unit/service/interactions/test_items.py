"""Items of the interactions table: key format, round trip, malformed items and the query sent."""

import asyncio
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from service.core.unit.channel import RECORDED
from service.core.unit.interaction import HistoryFilter, Interaction
from service.interactions.items import MalformedItemError, from_item, key_range, key_time, sort_key, to_item
from service.interactions.reader import InteractionStore
from service.interactions.table import InteractionTable
from service.kit.aws.bounded import StoreDropped, StoreThrottled, StoreTimedOut
from service.kit.frame.errors import StoreError

NOW = datetime(2025, 12, 8, 12, 0, tzinfo=UTC)


def _interaction(**changes: Any) -> Interaction:
    fields = {
        "interaction_id": "i#1",
        "channel": "chat",
        "timestamp": datetime(2025, 12, 1, 9, 5, 7, 120_000, tzinfo=UTC),
        "intent": "billing",
        "text": "Customer asks about the bill.",
        "outcome": "open",
    }
    return Interaction.model_validate(fields | changes)


def test_sort_key_is_utc_milliseconds_hash_id() -> None:
    local = datetime(2025, 12, 1, 10, 5, 7, 120_999, tzinfo=timezone(timedelta(hours=1)))
    assert sort_key(_interaction(timestamp=local)) == "2025-12-01T09:05:07.120Z#i#1"


@pytest.mark.parametrize("outcome", ["open", None])
def test_item_round_trip(outcome: str | None) -> None:
    interaction = _interaction(outcome=outcome)
    item = to_item("1234567890", interaction)
    assert item["account_number"] == {"S": "1234567890"}
    assert ("outcome" in item) is (outcome is not None)
    assert from_item(item) == interaction


_MILLISECONDS = st.datetimes(
    min_value=datetime(2000, 1, 1), max_value=datetime(2100, 1, 1), timezones=st.just(UTC)
).map(lambda moment: moment.replace(microsecond=moment.microsecond // 1000 * 1000))


@given(
    moment=_MILLISECONDS,
    channel=st.sampled_from(RECORDED),
    name=st.text(min_size=1, max_size=20),
    text=st.text(max_size=50),
)
def test_any_interaction_survives_the_round_trip(moment: datetime, channel: str, name: str, text: str) -> None:
    interaction = _interaction(timestamp=moment, channel=channel, interaction_id=name, text=text)
    assert from_item(to_item("1234", interaction)) == interaction


@given(first=_MILLISECONDS, second=_MILLISECONDS)
def test_text_order_is_time_order(first: datetime, second: datetime) -> None:
    assert (key_time(first) < key_time(second)) == (first < second)


@given(moment=_MILLISECONDS, name=st.text(min_size=1, max_size=20))
def test_both_ends_of_the_window_are_inside(moment: datetime, name: str) -> None:
    oldest, newest = (bound.encode() for bound in key_range(moment, moment))
    assert oldest <= sort_key(_interaction(timestamp=moment, interaction_id=name)).encode() <= newest


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"occurred_at": {"S": "2025-12-01T09:05:07.120Z"}}, "no '#'"),
        ({"occurred_at": {"S": "yesterday#i1"}}, "ISO time"),
        ({"occurred_at": {"S": "2025-12-01T09:05:07.120#i1"}}, "timestamp"),  # no zone
        ({"occurred_at": {"S": "2025-12-01T09:05:07.120Z#"}}, "interaction_id"),
        ({"channel": {"S": "pigeon"}}, "bad channel"),
        ({"text": {"N": "12"}}, "'text' is missing or not a text"),
        ({"text": {"S": "secret " * 5000}}, "bad text"),
        ({"intent": {}}, "'intent' is missing"),
        ({"outcome": {"S": "secret" * 100}}, "bad outcome"),
    ],
)
def test_malformed_item_names_the_field_and_not_the_value(change: dict[str, Any], message: str) -> None:
    item = to_item("1234567890", _interaction()) | change
    with pytest.raises(MalformedItemError, match=message) as caught:
        from_item(item)
    assert "secret" not in str(caught.value)
    assert "pigeon" not in str(caught.value)


def test_null_outcome_is_none() -> None:
    assert from_item(to_item("1234", _interaction()) | {"outcome": {"NULL": True}}).outcome is None


class FakeDynamo:
    """Returns scripted pages and records the queries."""

    def __init__(self, *pages: dict[str, Any], error: Exception | None = None) -> None:
        self.pages = list(pages)
        self.error = error
        self.queries: list[dict[str, Any]] = []
        self.unprocessed = 0
        self.batches: list[int] = []

    async def query(self, **arguments: Any) -> dict[str, Any]:
        self.queries.append(dict(arguments))
        if self.error is not None:
            raise self.error
        return self.pages.pop(0)

    def batch_write_item(self, RequestItems: dict[str, list[Any]]) -> dict[str, Any]:  # noqa: N803 - boto3's name
        (table, requests), *_ = RequestItems.items()
        self.batches.append(len(requests))
        left = requests[: self.unprocessed]
        self.unprocessed //= 2
        return {"UnprocessedItems": {table: left} if left else {}}


def _page(*names: str, last: bool = False) -> dict[str, Any]:
    items = [to_item("1234", _interaction(interaction_id=name)) for name in names]
    page: dict[str, Any] = {"Items": items, "ConsumedCapacity": {"CapacityUnits": 0.5}}
    return page if last else page | {"LastEvaluatedKey": {"occurred_at": {"S": names[-1] if names else "?"}}}


def _history(dynamo: FakeDynamo, clock: Any = lambda: 0.0, **wanted: Any) -> Any:
    store = InteractionStore(dynamo, "t", timeout_s=2.0, clock=clock)
    return asyncio.run(store.history("1234567890", HistoryFilter(**wanted), NOW))


@pytest.mark.acceptance("promise-05")
def test_query_reads_newest_first_inside_the_window() -> None:
    dynamo = FakeDynamo(_page("b", "a", last=True))
    page = _history(dynamo, max_history_days=30)
    query = dynamo.queries[0]
    assert query["ScanIndexForward"] is False
    assert query["Limit"] == 10
    assert query["ExpressionAttributeValues"] == {
        ":account": {"S": "1234567890"},
        ":oldest": {"S": "2025-11-08T12:00:00.000Z"},
        ":newest": {"S": "2025-12-08T12:00:00.000Z$"},
    }
    assert "FilterExpression" not in query
    assert "ExclusiveStartKey" not in query
    assert [item.interaction_id for item in page.interactions] == ["a", "b"]
    assert page.query == (
        "Query t: one account, occurred_at from 2025-11-08T12:00:00.000Z to 2025-12-08T12:00:00.000Z, newest first, "
        "any channel, at most 10"
    )


def test_paging_goes_on_until_enough_is_found() -> None:
    dynamo = FakeDynamo(_page(), _page("d"), _page("c", "b"), _page("a", last=True))
    page = _history(dynamo, max_interactions=3, channel_filter=("chat",))
    assert [item.interaction_id for item in page.interactions] == ["b", "c", "d"]
    assert (page.pages, page.consumed_capacity) == (3, 1.5)
    assert [query["Limit"] for query in dynamo.queries] == [12, 12, 8]
    assert dynamo.queries[0]["FilterExpression"] == "#channel IN (:channel0)"
    assert dynamo.queries[2]["ExclusiveStartKey"] == {"occurred_at": {"S": "d"}}


def test_an_empty_channel_filter_sends_no_query() -> None:
    dynamo = FakeDynamo()
    assert _history(dynamo, channel_filter=()).interactions == ()
    assert dynamo.queries == []


@pytest.mark.acceptance("event.DYNAMODB_QUERY_SUCCESS", "event.DYNAMODB_ITEM_SKIPPED")
def test_malformed_item_is_skipped_counted_logged_and_replaced_by_the_next_one() -> None:
    first = _page("c", "b")
    first["Items"][0]["channel"] = {"S": "pigeon"}
    dynamo = FakeDynamo(first, _page("a", last=True))
    with capture_logs() as logs:
        page = _history(dynamo, max_interactions=2)
    assert ([item.interaction_id for item in page.interactions], page.skipped) == (["a", "b"], 1)
    read = next(entry for entry in logs if entry["event"] == "DYNAMODB_QUERY_SUCCESS")
    assert (read["interactions"], read["pages"], read["skipped"]) == (2, 2, 1)
    skipped = [entry for entry in logs if entry["event"] == "DYNAMODB_ITEM_SKIPPED"]
    assert [entry["reason"] for entry in skipped] == ["bad channel"]
    assert "1234567890" not in str(logs)


@pytest.mark.parametrize(
    ("error", "cause"),
    [
        (StoreError("gone"), "refused"),
        (StoreThrottled("still too much"), "throttled"),
        (StoreTimedOut("no answer"), "timeout"),
    ],
)
@pytest.mark.acceptance("event.DYNAMODB_QUERY_START", "event.DYNAMODB_QUERY_FAILURE")
def test_a_table_that_refuses_until_the_deadline_is_logged_as_a_failure(error: Exception, cause: str) -> None:
    with capture_logs() as logs, pytest.raises(StoreError, match=str(error)):
        _history(FakeDynamo(error=error))
    assert [entry["event"] for entry in logs] == ["DYNAMODB_QUERY_START", "DYNAMODB_QUERY_FAILURE"]
    assert logs[-1]["reason"] == cause


class HotPartition(FakeDynamo):
    """Throttles ``times`` queries, then answers."""

    def __init__(self, times: int, *pages: dict[str, Any]) -> None:
        super().__init__(*pages)
        self.times = times

    async def query(self, **arguments: Any) -> dict[str, Any]:
        if self.times:
            self.times -= 1
            self.queries.append(dict(arguments))
            raise StoreThrottled("table 't' refuses: ProvisionedThroughputExceeded")
        return await super().query(**arguments)


@pytest.mark.acceptance("promise-05")
def test_a_hot_partition_is_asked_again_inside_the_deadline() -> None:
    dynamo = HotPartition(2, _page("a", last=True))
    with capture_logs() as logs:
        page = _history(dynamo)
    assert ([item.interaction_id for item in page.interactions], page.throttled, page.pages) == (["a"], 2, 1)
    assert len(dynamo.queries) == 3
    assert logs[-1]["throttled"] == 2


def test_a_connection_that_was_closed_meanwhile_is_opened_again() -> None:
    class Dropping(FakeDynamo):
        async def query(self, **arguments: Any) -> dict[str, Any]:
            if not self.queries:
                self.queries.append(dict(arguments))
                raise StoreDropped("table 't' closed the connection")
            return await super().query(**arguments)

    assert len(_history(Dropping(_page("a", last=True))).interactions) == 1


@pytest.mark.acceptance("promise-05")
def test_paging_ends_at_the_deadline() -> None:
    ticks = iter(range(100))
    dynamo = FakeDynamo(*(_page() for _ in range(50)))
    with pytest.raises(StoreError, match="not finished after"):
        _history(dynamo, clock=lambda: float(next(ticks)), channel_filter=("ivr",))
    assert len(dynamo.queries) < 3


def test_put_many_writes_in_batches_and_repeats_what_was_left() -> None:
    dynamo = FakeDynamo()
    dynamo.unprocessed = 10
    store = InteractionTable(dynamo, "t")
    store.put_many("1234", [_interaction(interaction_id=str(number)) for number in range(30)])
    assert dynamo.batches == [25, 10, 5, 2, 1, 5]


def test_put_many_gives_up_on_a_table_that_accepts_nothing() -> None:
    class Full(FakeDynamo):
        def batch_write_item(self, RequestItems: dict[str, list[Any]]) -> dict[str, Any]:  # noqa: N803 - boto3's name
            return {"UnprocessedItems": RequestItems}

    with pytest.raises(StoreError, match="did not accept 1 writes"):
        InteractionTable(Full(), "t").put_many("1234", [_interaction()])


def _malformed(*names: str) -> dict[str, Any]:
    page = _page(*names, last=True)
    for item in page["Items"]:
        item["channel"] = {"S": "pigeon"}
    return page


@pytest.mark.parametrize("before", [(), ({"Items": [], "LastEvaluatedKey": {"occurred_at": {"S": "z"}}},)])
def test_a_history_of_which_nothing_can_be_read_is_not_an_empty_one(before: tuple[dict[str, Any], ...]) -> None:
    with pytest.raises(StoreError, match="none of the 2 interactions can be read"):
        _history(FakeDynamo(*before, _malformed("b", "a")))


def test_an_answer_without_items_is_not_an_empty_history() -> None:
    with pytest.raises(StoreError, match="no list of items"):
        _history(FakeDynamo({"Count": 0}))
