"""One contract for tables in DynamoDB and their twin in memory: every test runs on both."""

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import count
from threading import Thread

import pytest
from made_tables import make_table

from service.kit.aws.bounded import ItemChanged, RecordRefused
from service.kit.aws.clients import client
from service.kit.aws.queries import DynamoQueries
from service.kit.aws.stores import TableIndex, TableShape
from service.kit.records.conditions import (
    Changes,
    above,
    absent,
    at_least,
    at_most,
    begins,
    below,
    between,
    either,
    equal,
    every,
    no,
    one_of,
    present,
)
from service.kit.records.dynamo import DynamoEventLoopRows, DynamoRows
from service.kit.records.lease import Lease, LeaseFields
from service.kit.records.memory import AwaitedRows, RowsInMemory
from service.kit.records.rows import Query, Write
from service.kit.records.table import EventLoopRecordTable, RecordChanged, RecordForm, RecordTable

OPEN = TableIndex(name="by-due", partition="open_in", sort="due")
NAMES_ONLY = TableIndex(name="by-name", partition="name", sort="sk", attributes=("note",))
SHAPE = TableShape(setting="parcels_table", partition="pk", sort="sk", expires="ttl", indexes=(OPEN, NAMES_ONLY))
NOW = datetime(2026, 5, 4, 9, 30, tzinfo=UTC)
_numbers = count()


@dataclass(frozen=True, kw_only=True)
class Parcel:
    tenant: str
    number: int
    due: str = "2026-05-04"
    note: str = ""
    sent: bool = False
    expires: datetime | None = None
    version: int = 0


def _parcel(item):
    return Parcel(
        tenant=item["pk"].partition("#")[0], number=int(item["sk"]), due=item["due"], note=item["note"],
        sent=item["sent"], version=item["version"],
    )  # fmt: skip


FORM = RecordForm(
    noun="parcel",
    key=lambda parcel: (f"{parcel.tenant}#box", f"{parcel.number:06d}"),
    to_item=lambda parcel: {"due": parcel.due, "note": parcel.note, "sent": parcel.sent},
    from_item=_parcel,
    expires=lambda parcel: parcel.expires,
    listed_in=lambda parcel: None if parcel.sent else "",
)


@pytest.fixture(scope="module")
def aws(local_aws):
    settings = local_aws()
    make_table(client("dynamodb", settings), SHAPE, "parcels")
    return settings


@pytest.fixture(params=["memory", "dynamodb"])
def rows(request):
    """A table of this test; in DynamoDB all tests share one, and their scopes keep them apart."""
    if request.param == "memory":
        return RowsInMemory(SHAPE)
    settings = request.getfixturevalue("aws")
    return DynamoRows(client("dynamodb", settings, attempts=1), SHAPE, "parcels", timeout_s=10)


@pytest.fixture
def scope():
    return f"test{next(_numbers)}"


@pytest.fixture
def parcels(rows, scope):
    return RecordTable(rows, FORM, scope=scope)


@pytest.fixture
async def awaited(rows, request):
    """The same table on the event loop."""
    if isinstance(rows, RowsInMemory):
        yield AwaitedRows(rows)
        return
    settings = request.getfixturevalue("aws")
    async with DynamoQueries.beside(client("dynamodb", settings), settings) as queries:
        yield DynamoEventLoopRows(queries, SHAPE, "parcels", timeout_s=10)


def parcel(number=1, **changes):
    return Parcel(tenant="acme", number=number, **changes)


def test_a_record_comes_back_as_it_was_written(parcels):
    written = parcels.add(parcel(note="für Ana ✓"))
    assert written.version == 1
    assert parcels.get("acme#box", "000001") == written
    assert parcels.get("acme#box", "000002") is None


def test_the_second_of_two_new_records_with_one_key_is_not_written(parcels):
    first = parcels.add(parcel(note="first"))
    assert parcels.add(parcel(note="second")) == first
    with pytest.raises(RecordChanged, match=r"parcel 'acme#box/000001' was changed meanwhile"):
        parcels.put(parcel(note="third"))


def test_only_one_of_two_writers_of_a_version_succeeds(parcels):
    read = parcels.add(parcel())
    assert parcels.put(read).version == 2
    with pytest.raises(RecordChanged):
        parcels.put(read)
    parcels.delete("acme#box", "000001")
    parcels.delete("acme#box", "000001")
    with pytest.raises(RecordChanged):
        parcels.put(read)


def test_no_change_is_lost_when_threads_change_one_record(parcels):
    def one_more(found):
        return parcel(note="+") if found is None else _noted(found)

    def work():
        for _ in range(5):
            parcels.change(one_more, "acme#box", "000001")

    threads = [Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert parcels.get("acme#box", "000001").note == "+" * 15
    assert parcels.change(lambda found: None, "acme#box", "000001").note == "+" * 15


def _noted(found):
    return Parcel(tenant=found.tenant, number=found.number, note=f"{found.note}+", version=found.version)


def test_stages_and_tenants_are_kept_apart(rows, scope):
    one, other = RecordTable(rows, FORM, scope=scope), RecordTable(rows, FORM, scope=f"{scope}x")
    one.add(parcel())
    one.add(Parcel(tenant="acm", number=1))
    assert other.get("acme#box", "000001") is None
    assert list(other.records(Query(partition="acme#box"))) == []
    assert [found.tenant for found in one.records(Query(partition="acm#box"))] == ["acm"]
    assert len(list(one.records(Query(partition="", index=OPEN)))) == 2


def test_records_of_a_partition_come_in_pages_in_the_order_of_their_keys(parcels):
    for number in (3, 1, 5, 2, 4):
        parcels.add(parcel(number))
    pages, after = [], None
    while True:
        page = parcels.page(Query(partition="acme#box", most=2, after=after))
        pages.append([found.number for found in page.records])
        after = page.next
        if after is None:
            break
    assert pages == [[1, 2], [3, 4], [5]]
    asked = Query(partition="acme#box", newest_first=True, most=2)
    assert [found.number for found in parcels.page(asked).records] == [5, 4]
    next_asked = Query(partition="acme#box", newest_first=True, most=2, after=parcels.page(asked).next)
    assert [found.number for found in parcels.page(next_asked).records] == [3, 2]
    assert [found.number for found in parcels.records(asked)] == [5, 4, 3, 2, 1]


@pytest.mark.parametrize(
    ("sort", "found"),
    [
        (above("sk", "000003"), [4, 5]),
        (at_least("sk", "000003"), [3, 4, 5]),
        (below("sk", "000003"), [1, 2]),
        (at_most("sk", "000003"), [1, 2, 3]),
        (between("sk", "000002", "000004"), [2, 3, 4]),
        (begins("sk", "00000"), [1, 2, 3, 4, 5]),
        (equal("sk", "000002"), [2]),
    ],
)
def test_a_range_of_sort_keys(parcels, sort, found):
    for number in range(1, 6):
        parcels.add(parcel(number))
    assert [one.number for one in parcels.records(Query(partition="acme#box", sort=sort))] == found


def test_a_page_that_its_limit_ends_has_a_next_one_even_if_that_is_empty(parcels):
    parcels.add(parcel(1))
    parcels.add(parcel(2))
    page = parcels.page(Query(partition="acme#box", most=2))
    assert page.next is not None
    assert parcels.page(Query(partition="acme#box", most=2, after=page.next)).records == []
    assert parcels.page(Query(partition="acme#box", most=3)).next is None


def test_what_is_dropped_after_reading_counts_for_the_page(parcels):
    for number in range(1, 5):
        parcels.add(parcel(number, sent=number == 4))
    page = parcels.page(Query(partition="acme#box", where=equal("sent", True), most=3))
    assert page.records == []
    assert page.next is not None
    assert [one.number for one in parcels.records(Query(partition="acme#box", where=equal("sent", True)))] == [4]


def test_the_index_holds_open_records_by_their_due_time(parcels):
    parcels.add(parcel(1, due="2026-05-06"))
    late = parcels.add(parcel(2, due="2026-05-05"))
    parcels.add(parcel(3, due="2026-05-04", sent=True))
    assert [one.number for one in parcels.records(Query(partition="", index=OPEN))] == [2, 1]
    due = Query(partition="", index=OPEN, sort=at_most("due", "2026-05-05"), most=5)
    assert [one.number for one in parcels.records(due)] == [2]
    parcels.put(Parcel(**{**late.__dict__, "sent": True}))
    assert [one.number for one in parcels.records(Query(partition="", index=OPEN))] == [1]


def test_pages_of_an_index_continue_behind_equal_sort_keys(parcels):
    for number in range(1, 6):
        parcels.add(parcel(number))
    found, after = [], None
    while True:
        page = parcels.page(Query(partition="", index=OPEN, most=2, after=after))
        found += [one.number for one in page.records]
        after = page.next
        if after is None:
            break
    assert sorted(found) == [1, 2, 3, 4, 5]


def test_an_index_holds_only_the_attributes_that_are_copied_to_it(rows, scope):
    rows.put({"pk": scope, "sk": "1", "name": scope, "note": "kept", "text": "left out"})
    rows.put({"pk": scope, "sk": "2", "text": "has no name"})
    (found,) = rows.query(Query(partition=scope, index=NAMES_ONLY))
    assert found == {"pk": scope, "sk": "1", "name": scope, "note": "kept"}


def test_an_expired_record_is_gone_for_whoever_has_a_clock(rows, scope):
    at = [NOW.timestamp()]
    parcels = RecordTable(rows, FORM, scope=scope, now=lambda: at[0])
    parcels.add(parcel(expires=NOW + timedelta(hours=1)))
    parcels.add(parcel(2))
    at[0] += 3601
    assert parcels.get("acme#box", "000001") is None
    assert [one.number for one in parcels.records(Query(partition="acme#box"))] == [2]
    assert parcels.add(parcel(note="again")).note == "again"
    assert RecordTable(rows, FORM, scope=scope).get("acme#box", "000001").note == "again"


def test_records_that_are_written_once_have_no_version(rows, scope):
    form = RecordForm(
        noun="line",
        key=lambda line: (line[0], line[1]),
        to_item=lambda line: {"text": line[2]},
        from_item=lambda item: (item["pk"], item["sk"], item["text"]),
        version="",
    )
    lines = RecordTable(rows, form, scope=scope)
    assert lines.add(("acme#c1", "000001", "hello")) == ("acme#c1", "000001", "hello")
    assert lines.add(("acme#c1", "000001", "other")) == ("acme#c1", "000001", "hello")
    assert lines.put(("acme#c1", "000001", "other")) == lines.get("acme#c1", "000001")


def test_values_come_back_with_their_types(rows, scope):
    item = {
        "pk": scope, "sk": "1", "count": 3, "money": Decimal("1.25"), "huge": 10**30, "yes": True, "nothing": None,
        "list": ["a", 1, {"b": [False]}], "empty": "",
    }  # fmt: skip
    rows.put(item)
    found = rows.get((scope, "1"))
    assert found == item
    assert [type(found[name]) for name in ("count", "money", "yes")] == [int, Decimal, bool]


def test_an_item_that_is_too_large_is_refused_for_good(rows, scope):
    with pytest.raises(RecordRefused):
        rows.put({"pk": scope, "sk": "1", "text": "x" * 410_000})
    rows.put({"pk": scope, "sk": "1", "text": "x" * 409_000})


def test_an_update_changes_some_attributes_and_returns_the_item(rows, scope):
    key = (scope, "1")
    made = rows.update(key, Changes(sets={"state": "new"}, first={"began": "today"}, adds={"tries": 1}))
    assert made == {"pk": scope, "sk": "1", "state": "new", "began": "today", "tries": 1}
    changes = Changes(sets={"state": "old"}, first={"began": "tomorrow"}, adds={"tries": 2}, removes=["gone"])
    assert rows.update(key, changes, returns="old") == made
    assert rows.update(key, Changes(removes=["state"])) == {"pk": scope, "sk": "1", "began": "today", "tries": 3}


@pytest.mark.parametrize(
    ("when", "holds"),
    [
        (equal("state", "open"), True), (equal("state", "shut"), False), (equal("none", "open"), False),
        (equal("tries", "2"), False), (below("tries", 3), True), (below("tries", 2), False), (at_most("tries", 2), True),
        (above("tries", Decimal("1.5")), True), (at_least("tries", 3), False), (below("none", 3), False),
        (present("state"), True), (absent("state"), False), (absent("none"), True), (begins("state", "op"), True),
        (between("tries", 1, 2), True), (one_of("state", ["shut", "open"]), True),
        (one_of("none", ["shut"]), False), (every(present("state"), equal("tries", 2)), True),
        (every(present("state"), equal("tries", 3)), False), (either(absent("state"), equal("tries", 2)), True),
        (no(equal("none", "open")), True),
        (every(no(one_of("state", ["shut"])), either(absent("tries"), below("tries", 9))), True),
    ],
)  # fmt: skip
def test_a_condition_decides_over_a_write(rows, scope, when, holds):
    key = (scope, "1")
    rows.put({"pk": scope, "sk": "1", "state": "open", "tries": 2})
    written = True
    try:
        rows.update(key, Changes(sets={"seen": "yes"}), when=when)
    except ItemChanged:
        written = False
    assert written == holds
    assert ("seen" in rows.get(key)) == holds


def test_conditions_on_a_missing_item(rows, scope):
    key = (scope, "1")
    with pytest.raises(ItemChanged):
        rows.update(key, Changes(sets={"seen": "yes"}), when=present("pk"))
    with pytest.raises(ItemChanged):
        rows.delete(key, when=equal("state", "open"))
    rows.delete(key)
    rows.update(key, Changes(sets={"seen": "yes"}), when=absent("pk"))
    assert rows.get(key) == {"pk": scope, "sk": "1", "seen": "yes"}


def test_a_scan_reads_all_partitions(rows, scope):
    for number in range(3):
        rows.put({"pk": f"{scope}#{number}", "sk": "1", "of": scope, "count": number})
    found = rows.scan(where=every(equal("of", scope), at_least("count", 1)))
    assert sorted(item["count"] for item in found) == [1, 2]
    assert list(rows.scan(where=every(equal("of", scope), equal("count", 1)), only=["of"])) == [{"of": scope}]
    assert list(rows.scan(where=equal("of", scope), index=OPEN)) == []


def test_writes_together_are_all_made_or_none(rows, scope):
    rows.put({"pk": scope, "sk": "1", "state": "open"})
    rows.put({"pk": scope, "sk": "2"})
    writes = [
        Write(key=(scope, "1"), changes=Changes(sets={"state": "shut"}), when=equal("state", "open")),
        Write(item={"pk": scope, "sk": "3"}, when=absent("pk")),
        Write(key=(scope, "2")),
    ]
    rows.together(writes)
    assert [item["sk"] for item in rows.query(Query(partition=scope))] == ["1", "3"]
    rows.put({"pk": scope, "sk": "2"})
    with pytest.raises(ItemChanged):
        rows.together(writes)
    assert rows.get((scope, "2")) is not None


def test_a_lease_has_one_owner_until_it_runs_out(rows, scope):
    at = [1000.0]
    lease = Lease(rows, (scope, "lease"), LeaseFields(owner="held_by", until="held_until"), now=lambda: at[0])
    assert lease.take("one", for_s=10)
    assert not lease.take("two", for_s=10)
    at[0] = 1009.0
    assert lease.take("one", for_s=10)
    at[0] = 1018.9
    assert not lease.take("two", for_s=10)
    assert lease.renew("one", for_s=10)
    at[0] = 1028.901
    assert lease.take("two", for_s=10)
    assert not lease.renew("one", for_s=10)
    assert not lease.release("one")
    assert rows.get((scope, "lease"))["held_by"] == "two"
    assert rows.get((scope, "lease"))["held_until"] == Decimal("1038.901")
    assert lease.release("two")
    assert not lease.renew("two", for_s=10)
    assert lease.take("one", for_s=10)


async def test_the_event_loop_reads_and_writes_the_same_records(parcels, awaited, scope):
    table = EventLoopRecordTable(awaited, FORM, scope=scope)
    written = await table.add(parcel(1))
    assert await table.add(parcel(1, note="other")) == written
    assert await asyncio.to_thread(parcels.get, "acme#box", "000001") == written
    assert await table.get("acme#box", "000001") == written
    assert await table.get("acme#box", "000009") is None
    with pytest.raises(RecordChanged):
        await table.put(parcel(1))
    for number in range(2, 6):
        await table.put(parcel(number))
    page = await table.page(Query(partition="acme#box", most=2))
    assert [one.number for one in page.records] == [1, 2]
    rest = await table.page(Query(partition="acme#box", after=page.next))
    assert [one.number for one in rest.records] == [3, 4, 5]
    behind = Query(partition="acme#box", sort=above("sk", "000003"))
    assert [one.number for one in await table.records(behind)] == [4, 5]


async def test_all_pages_of_an_event_loop_are_read(scope):
    rows = RowsInMemory(SHAPE, page_items=2)
    table = EventLoopRecordTable(AwaitedRows(rows), FORM, scope=scope)
    for number in range(5):
        await table.add(parcel(number))
    assert len(await table.records(Query(partition="acme#box"))) == 5
    assert len(list(RecordTable(rows, FORM, scope=scope).records(Query(partition="acme#box")))) == 5
