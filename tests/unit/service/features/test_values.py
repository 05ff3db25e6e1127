"""Features computed from events: as worked out by hand, as known at each case, served equal, and compared with reasons."""

import asyncio
import random
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pandas as pd
import pytest
from empty_warehouse import empty_warehouse

from eval.instruments.bench.customers import event, random_events
from eval.instruments.bench.naive_features import features_by_hand
from service.features.compare import compare
from service.features.compute import FeatureWriter, feature_rows, last_run
from service.features.definitions import read_views
from service.features.history import as_known, history, values_at
from service.features.online import OnlineFeatures, read_features, served, stored
from service.kit.aws.stores import FEATURES
from service.kit.frame.errors import ConfigurationError, StoreError
from service.kit.records.memory import RowsInMemory
from service.kit.telemetry.fields import account_hash
from service.warehouse.events import CustomerEvent
from service.warehouse.rows import to_table

VIEWS = read_views()
SERVICES, VALUE = VIEWS.find("services"), VIEWS.find("value")
NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
DAY = timedelta(days=1)


@pytest.fixture
def warehouse(tmp_path):
    opened = empty_warehouse(tmp_path / "warehouse.duckdb")
    yield opened
    opened.close()


@pytest.fixture
def rows():
    return RowsInMemory(FEATURES)


def load(warehouse, rows):
    warehouse.merge(CustomerEvent, to_table(CustomerEvent, rows))


def writer(warehouse, rows, **more):
    return FeatureWriter(warehouse=warehouse, rows=rows, scope="prod", now=lambda: NOW, clock=NOW.timestamp, **more)


def visit(customer, number, days_ago, satisfaction=None, **more):
    return event(customer, number, "service", NOW - days_ago * DAY, service="visit", satisfaction=satisfaction, **more)


def test_features_are_those_worked_out_by_hand(warehouse):
    load(
        warehouse,
        [
            visit("ann", 1, 500, 2),
            visit("ann", 2, 400, 3),
            visit("ann", 3, 30, 5, amount=Decimal("120.10")),
            visit("bob", 1, 1),
        ],
    )
    services = values_at(warehouse, SERVICES, NOW).rows.set_index("customer")
    assert services.loc["ann", list(SERVICES.columns)].to_list() == [3, 1, pytest.approx(10 / 3), 2.5]
    bob = services.loc["bob", list(SERVICES.columns)]
    assert bob.to_list()[:2] == [1, 1]
    assert bob.isna().to_list()[2:] == [True, True]
    assert values_at(warehouse, VALUE, NOW).rows["lifetime_value"].to_list() == [120.1]


def test_a_service_leaves_the_window_on_its_day_without_another_event(warehouse):
    load(warehouse, [visit("ann", 1, 365, 4)])
    before = values_at(warehouse, SERVICES, NOW - timedelta(seconds=1)).rows["services_last_year"].to_list()
    assert (before, values_at(warehouse, SERVICES, NOW).rows["services_last_year"].to_list()) == ([1], [0])


def test_each_case_gets_what_was_known_then(warehouse):
    load(warehouse, [visit("ann", 1, 100, 5), visit("ann", 2, 90, 1, late=60 * DAY)])
    asked = [NOW - days * DAY for days in (101, 100, 80, 30, 29)]
    cases = pd.DataFrame({"tenant": "acme", "customer": "ann", "as_of": asked, "case": range(5)})
    found = as_known(history(warehouse, SERVICES, NOW).rows, cases, ["total_services", "average_satisfaction"])
    assert found["case"].to_list() == [0, 1, 2, 3, 4]
    assert found["total_services"].fillna(0).to_list() == [0, 1, 1, 2, 2]
    assert found["average_satisfaction"].fillna(0).to_list() == [0, 5, 5, 3, 3]


def test_history_online_and_a_slow_count_agree_on_random_customers(warehouse, rows):
    events = list(random_events(60, seed=5))
    load(warehouse, events)
    chance = random.Random(7)
    people = sorted({(row["tenant"], row["customer"]) for row in events})
    asked = [(*chance.choice(people), NOW - chance.randrange(900) * DAY) for _ in range(200)]
    cases = pd.DataFrame(asked, columns=["tenant", "customer", "as_of"])
    at_cases = [
        (view, as_known(history(warehouse, view, NOW).rows, cases, list(view.columns))) for view in VIEWS.served()
    ]
    for number, (tenant, customer, at) in enumerate(asked):
        expected = features_by_hand(
            [row for row in events if (row["tenant"], row["customer"]) == (tenant, customer)], at
        )
        for view, found in at_cases:
            for name, column in view.columns.items():
                got, wanted = served(found[name].iloc[number], column.kind), expected.get(name)
                assert got == (pytest.approx(wanted, abs=1e-6) if isinstance(wanted, float) else wanted), (name, number)
    for view in VIEWS.served():
        writer(warehouse, rows).compute(view)
        balance = compare(warehouse, rows, view, NOW, scope="prod")
        assert balance.equal == balance.offline == balance.online > 0


def test_a_feature_is_read_as_it_was_computed_with_its_age(warehouse, rows):
    person = account_hash("c-1")
    load(warehouse, [event(person, 1, "service", NOW - 9 * DAY, satisfaction=4, service="x", amount=Decimal("0.1"))])
    for view in (SERVICES, VALUE):
        writer(warehouse, rows).compute(view)
    found = read_features(rows, VIEWS.served(), "acme", "c-1", NOW + 47 * DAY / 24, scope="prod")
    services = {"total_services": 1, "services_last_year": 1, "average_satisfaction": 4.0, "satisfaction_trend": None}
    assert found.values == services | {"lifetime_value": 0.1}
    assert (found.stale, found.missing, found.versions) == ({}, ("home@1",), ("services@1", "value@1"))
    old = read_features(rows, VIEWS.served(), "acme", "c-1", NOW + 3 * DAY, scope="prod")
    assert old.values == found.values
    assert old.stale == dict.fromkeys([*SERVICES.columns, "lifetime_value"], 72.0)
    other = read_features(rows, VIEWS.served(), "another", "c-1", NOW, scope="prod")
    assert (other.values, len(other.missing)) == ({}, 3)


class OnLoop:
    shape = FEATURES

    def __init__(self, rows):
        self._rows = rows

    async def page(self, query):
        return self._rows.page(query)


def test_requests_read_the_same(warehouse, rows):
    load(warehouse, [event(account_hash("c-1"), 1, "service", NOW - 9 * DAY, satisfaction=4)])
    writer(warehouse, rows).compute(SERVICES)
    online = OnlineFeatures(OnLoop(rows), VIEWS, scope="prod")
    assert asyncio.run(online.of("acme", "c-1", NOW)) == read_features(
        rows, VIEWS.served(), "acme", "c-1", NOW, scope="prod"
    )


def test_a_new_version_stands_beside_the_old_one(warehouse, rows):
    load(warehouse, [visit(account_hash("c-1"), 1, 400), visit(account_hash("c-1"), 2, 5)])
    newer = SERVICES.model_copy(
        update={
            "version": 2,
            "sql": SERVICES.sql.replace("COUNT(*) AS total_services", "10 * COUNT(*) AS total_services"),
        }
    )
    for view in (SERVICES, newer):
        writer(warehouse, rows).compute(view)
    read = [
        read_features(rows, [view], "acme", "c-1", NOW, scope="prod").values["total_services"]
        for view in (SERVICES, newer)
    ]
    assert read == [2, 20]


@pytest.mark.parametrize(
    ("sql", "reason"),
    [
        ("CAST('NaN' AS DOUBLE PRECISION)", "not a number"),
        ("CAST('Infinity' AS DOUBLE PRECISION)", "infinite"),
        ("-1 * SUM(p.amount)", "below 0"),
    ],
)
def test_a_value_that_cannot_be_is_left_out_and_named(warehouse, rows, sql, reason):
    load(warehouse, [event(account_hash("c-1"), 1, "payment", NOW - DAY, amount=Decimal(5))])
    wrong = VALUE.model_copy(update={"sql": VALUE.sql.replace("SUM(p.amount)", sql)})
    done = writer(warehouse, rows).compute(wrong)
    assert done.problems == {f"lifetime_value: {reason}": 1}
    found = read_features(rows, [wrong], "acme", "c-1", NOW, scope="prod")
    assert (found.values, found.problems) == ({"lifetime_value": None}, {"lifetime_value": reason})


class Breaking(RowsInMemory):
    """Breaks after some transactions."""

    left = 3

    def together(self, writes):
        if len(writes) > 1:
            self.left -= 1
            if self.left < 0:
                raise StoreError("gone")
        super().together(writes)


def test_an_interrupted_run_goes_on_about_the_same_moment_and_writes_nothing_twice(warehouse):
    load(warehouse, random_events(3000, seed=1))
    known = len(values_at(warehouse, VIEWS.find("home"), NOW).rows)
    rows = Breaking(FEATURES)
    rows.left = 13
    with pytest.raises(StoreError):
        writer(warehouse, rows).compute(VIEWS.find("home"))
    run = last_run(rows, VIEWS.find("home"), scope="prod")
    assert (run.finished, run.rows, run.as_of) == (False, 1000, NOW)
    rows.left = 99
    later = FeatureWriter(
        warehouse=warehouse, rows=rows, scope="prod", now=lambda: NOW + DAY / 24, clock=(NOW + DAY / 24).timestamp
    )
    done = later.compute(VIEWS.find("home"))
    assert (done.as_of, done.resumed_after, done.written) == (NOW, 1000, known - 1000)
    assert last_run(rows, VIEWS.find("home"), scope="prod").finished
    assert compare(warehouse, rows, VIEWS.find("home"), NOW, scope="prod").equal == known


def test_two_processes_do_not_write_one_version(warehouse, rows):
    load(warehouse, [visit("ann", 1, 5)])

    class Greedy:
        def covers(self, names, made_at):
            with pytest.raises(ConfigurationError, match="another process is computing services@1"):
                writer(warehouse, rows).compute(SERVICES)
            return False

    assert writer(warehouse, rows, tombstones=Greedy()).compute(SERVICES).written == 1


def test_an_erased_customer_is_not_written_again(warehouse, rows):
    load(warehouse, [visit("ann", 1, 5), visit("bob", 1, 5)])

    class Erased:
        def covers(self, names, made_at):
            return "ann" in names and made_at <= NOW

    done = writer(warehouse, rows, tombstones=Erased()).compute(SERVICES)
    assert (done.written, done.erased) == (1, 1)
    assert [item["person"] for item in rows.scan() if "person" in item] == ["bob"]


def test_each_difference_between_served_and_warehouse_has_its_reason(warehouse, rows):
    load(warehouse, [visit(name, 1, 5) for name in ("same", "changed", "late", "gone", "wrong", "missing")])
    writer(warehouse, rows).compute(SERVICES)
    after = NOW + timedelta(hours=5)
    load(
        warehouse,
        [
            event("changed", 2, "service", after, service="visit"),
            visit("late", 2, 3, loaded=after),
            event("new", 1, "service", after, service="visit"),
            visit("unseen", 1, 2, loaded=after),
        ],
    )
    warehouse.remove(CustomerEvent, "customer", ["gone"])
    rows.delete(("prod/acme/missing", "services@1"))
    item = rows.get(("prod/acme/wrong", "services@1"))
    rows.put(item | {"values": item["values"] | {"total_services": 9}})
    found = compare(warehouse, rows, SERVICES, after, scope="prod")
    assert found.differences == {"new": 1, "changed": 1, "late": 2, "missing": 1, "gone": 1, "wrong": 1}
    assert (found.equal, found.explained) == (1, False)
    assert found.examples["wrong"] == ["acme/wrong"]
    writer_later = FeatureWriter(warehouse=warehouse, rows=rows, scope="prod", now=lambda: after, clock=after.timestamp)
    writer_later.compute(SERVICES)
    mended = compare(warehouse, rows, SERVICES, after, scope="prod")
    assert mended.differences == {"gone": 1}


@pytest.mark.parametrize("value", [0.1, 1 / 3, 1e-17, 123456789.01, -4.0, 2.5e15])
def test_a_float_survives_the_table(value):
    assert served(stored(value), "decimal") == value


def test_rows_are_in_the_order_in_which_a_run_goes_on(warehouse):
    load(warehouse, [visit("b", 1, 5), visit("a", 1, 5), visit("a", 1, 5, tenant="Acme")])
    rows = feature_rows(values_at(warehouse, SERVICES, NOW), SERVICES, NOW)
    assert [(row.tenant, row.person) for row in rows] == [("Acme", "a"), ("acme", "a"), ("acme", "b")]
