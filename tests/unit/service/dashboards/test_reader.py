"""The reader: one query for many operators, a closed warehouse afterwards, and clear errors."""

import asyncio
import threading
from dataclasses import replace
from datetime import date, datetime

import pandas as pd
import pytest

from service.dashboards.definitions import load_dashboards
from service.dashboards.errors import DashboardsBusy, ExtraMissing, RangeInvalid, TaskUnknown, WarehouseUnreadable
from service.dashboards.reader import LONGEST_DAYS, Asked, DashboardReader
from service.kit.frame.errors import ConfigurationError, QueryRefused, WarehouseBusy

COST = load_dashboards()["cost"]


class Fake:
    def __init__(self, newest=datetime(2026, 11, 21, 14, 3)):
        self.newest = newest
        self.asked = []
        self.tasks = ["summarize"]
        self.opened = self.closed = 0
        self.error = None
        self.gate = threading.Event()
        self.gate.set()

    def open(self):
        self.opened += 1
        if isinstance(self.error, BaseException):
            raise self.error
        return self

    def query(self, sql, parameters=None):
        assert self.gate.wait(5)
        if "oldest" in sql:
            none = self.newest is None
            day = None if none else pd.Timestamp(self.newest.date())
            return pd.DataFrame([{"oldest": day, "newest": day, "newest_at": self.newest, "answers": 0 if none else 9}])
        if sql.startswith("SELECT task, COUNT(*)"):
            return pd.DataFrame([] if self.newest is None else [{"task": name, "answers": 9} for name in self.tasks])
        if sql.startswith("SELECT pair, COUNT(*) AS answers FROM omni_summaries"):
            return pd.DataFrame([{"pair": "alpha", "answers": 9}])
        self.asked.append(dict(parameters))
        return pd.DataFrame([])

    def close(self):
        self.closed += 1


@pytest.fixture
def fake():
    return Fake()


async def test_the_default_range_is_four_weeks_up_to_the_newest_answer(fake):
    data = await DashboardReader(fake.open).read(COST, Asked())
    assert (data.from_day, data.to_day) == (date(2026, 10, 25), date(2026, 11, 21))
    assert fake.asked[0] == {"task": "summarize", "from_day": "2026-10-25", "to_day": "2026-11-21", "pair": "*"}
    assert (data.coverage.answers, data.coverage.pairs) == (9, ("alpha",))


async def test_a_pair_and_days_are_handed_on(fake):
    await DashboardReader(fake.open).read(
        COST, Asked(from_day=date(2026, 11, 1), to_day=date(2026, 11, 2), pair="x'--")
    )
    assert fake.asked[0] == {"task": "summarize", "from_day": "2026-11-01", "to_day": "2026-11-02", "pair": "x'--"}


async def test_the_warehouse_is_closed_again(fake):
    await DashboardReader(fake.open).read(COST, Asked())
    assert (fake.opened, fake.closed) == (1, 1)


async def test_an_empty_warehouse_is_not_asked_for_figures():
    empty = Fake(newest=None)
    data = await DashboardReader(empty.open).read(COST, Asked())
    assert (data.coverage.answers, data.coverage.newest, empty.asked) == (0, None, [])
    assert all(rows == () for rows in data.rows.values())


async def test_equal_questions_within_the_caches_time_are_one_query(fake):
    now = [0.0]
    reader = DashboardReader(fake.open, clock=lambda: now[0], cache_s=30)
    first = await reader.read(COST, Asked())
    now[0] = 29.0
    assert await reader.read(COST, Asked()) is first
    assert reader.age_s(first.read_at) == 29.0
    await reader.read(COST, Asked(pair="alpha"))
    now[0] = 30.0
    await reader.read(COST, Asked())
    assert fake.opened == 3


async def test_equal_questions_at_once_are_one_query(fake):
    fake.gate.clear()
    reader = DashboardReader(fake.open)
    both = asyncio.gather(reader.read(COST, Asked()), reader.read(COST, Asked()))
    await asyncio.sleep(0)
    fake.gate.set()
    first, second = await both
    assert first is second
    assert fake.opened == 1


async def test_a_slow_warehouse_is_reported_and_the_queue_is_bounded(fake):
    fake.gate.clear()
    reader = DashboardReader(fake.open, timeout_s=0.01)
    for number in range(8):
        with pytest.raises(DashboardsBusy, match="shorter range"):
            await reader.read(COST, Asked(pair=f"p{number}"))
    with pytest.raises(DashboardsBusy, match="already wait"):
        await reader.read(COST, Asked(pair="one more"))
    fake.gate.set()
    reader.close()


@pytest.mark.parametrize(
    ("error", "kind", "said"),
    [
        (ImportError("No module named 'duckdb'"), ExtraMissing, "warehouse extra is not installed"),
        (WarehouseBusy("the loader holds it: wait"), WarehouseUnreadable, "the loader holds it: wait"),
        (QueryRefused("no table"), WarehouseUnreadable, "no table"),
        (ConfigurationError("set OMNI_X"), WarehouseUnreadable, "set OMNI_X"),
        (RuntimeError("row: Jane Doe"), WarehouseUnreadable, "omni load-events"),
    ],
)
async def test_an_unreadable_warehouse_is_reported_with_a_remedy_and_without_rows(fake, error, kind, said):
    fake.error = error
    with pytest.raises(WarehouseUnreadable) as caught:
        await DashboardReader(fake.open).read(COST, Asked())
    assert type(caught.value) is kind
    assert (caught.value.status, said in str(caught.value), "Jane" in str(caught.value)) == (503, True, False)


async def test_an_error_is_not_cached(fake):
    reader = DashboardReader(fake.open)
    fake.error = WarehouseBusy("busy")
    with pytest.raises(WarehouseUnreadable):
        await reader.read(COST, Asked())
    fake.error = None
    assert (await reader.read(COST, Asked())).coverage.answers == 9


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (Asked(from_day=date(2026, 11, 2), to_day=date(2026, 11, 1)), "ends before it begins"),
        (Asked(from_day=date(2020, 1, 1), to_day=date(2026, 11, 1)), "longer than"),
    ],
)
async def test_an_invalid_range_is_refused(fake, asked, said):
    with pytest.raises(RangeInvalid, match=said):
        await DashboardReader(fake.open).read(COST, asked)
    assert fake.opened == 0


async def test_a_range_without_a_first_day_is_limited_to_the_longest_range(fake):
    data = await DashboardReader(fake.open).read(COST, Asked(from_day=date(1, 1, 1)))
    assert (data.to_day - data.from_day).days == LONGEST_DAYS - 1
    data = await DashboardReader(fake.open).read(COST, replace(Asked(), to_day=date(1, 1, 5)))
    assert data.from_day == date(1, 1, 1)


async def test_the_busiest_task_is_shown_unless_another_is_asked_for(fake):
    fake.tasks = ["shout", "summarize"]
    reader = DashboardReader(fake.open)
    data = await reader.read(COST, Asked())
    assert (data.task, data.coverage.tasks) == ("shout", ("shout", "summarize"))
    assert {asked.get("task") for asked in fake.asked} == {"shout", None}  # None: what compares the tasks
    assert (await reader.read(COST, Asked(task="summarize"))).task == "summarize"


async def test_an_unknown_task_is_named_with_the_known_ones(fake):
    with pytest.raises(TaskUnknown, match="no answers of task 'shoot'; it holds those of summarize"):
        await DashboardReader(fake.open).read(COST, Asked(task="shoot"))
    fake.newest = None
    data = await DashboardReader(fake.open).read(COST, Asked(task="shoot"))
    assert (data.task, data.coverage.answers) == (None, 0)
