"""The loop that begins items, against an engine that a test steers: budget, rate, losses, and what ends it."""

from collections import deque
from concurrent.futures import Future
from contextlib import contextmanager
from decimal import Decimal
from itertools import pairwise
from types import SimpleNamespace

import pytest

from eval.backfill import run as module
from eval.backfill.run import BackfillOrder, backfill
from eval.backfill.work import WorkItem
from eval.spine.errors import BackfillError
from service.kit.settings import Settings

ITEMS = [WorkItem(id=f"r{n}", inputs={}) for n in range(6)]


class Steered:
    """A lane whose items end when its slots are full or it is asked; ``deaths`` are the submissions whose worker ends."""

    workers = 1

    def __init__(self, slots=2, cost="1", deaths=()):
        self.slots, self.cost, self.deaths = slots, cost, set(deaths)
        self.begun, self.waiting, self.gone, self.most = [], deque(), [], 0

    @contextmanager
    def open(self, work):
        yield self

    def submit(self, item):
        future = Future()
        self.begun.append(item.id)
        self.waiting.append((len(self.begun), item, future))
        self.most = max(self.most, len(self.waiting))
        if len(self.waiting) == self.slots:
            self.step()
        return future

    def step(self):
        while self.waiting:
            number, item, future = self.waiting.popleft()
            if number in self.deaths:
                self.gone.append(future)
            else:
                future.set_result({"id": item.id, "failure": None, "cost_usd": self.cost})

    def landed(self, future):
        pass

    def lost(self):
        self.step()
        found, self.gone = self.gone, []
        return found


@pytest.fixture
def bounded(monkeypatch):
    """Every item may cost 3 dollars."""
    monkeypatch.setattr(
        module,
        "CostBound",
        lambda pair, cards, task: SimpleNamespace(most_usd=lambda item: Decimal(3), saw=lambda row: None),
    )
    monkeypatch.setattr(module, "_TICK_S", 0.01)
    monkeypatch.setattr(module, "_work", lambda order, settings: None)


def work_off(folder, engine, **changes):
    fields = {
        "task": "summarize",
        "mode": "summarise",
        "folder": folder / "b",
        "chunk_size": 2,
        "pair": SimpleNamespace(digest="d"),
    }
    return backfill(BackfillOrder(**fields | changes), ITEMS, engine, Settings(), lambda state: None)


@pytest.mark.parametrize(
    ("budget", "begun"), [("2.99", 0), ("3", 1), ("3.99", 1), ("4", 2), ("7.99", 5), ("8", 6), ("1000", 6)]
)
def test_an_item_begins_only_if_the_budget_covers_the_most_it_can_cost(tmp_path, bounded, budget, begun):
    engine = Steered(slots=1)
    state = work_off(tmp_path, engine, budget_usd=Decimal(budget))
    assert len(engine.begun) == begun
    assert state.cost_usd == begun <= Decimal(budget)
    assert bool(state.stopped) == (begun < 6)


@pytest.mark.parametrize(("budget", "at_once"), [("5.99", 1), ("6", 2), ("8.99", 2), ("9", 3), ("1000", 4)])
def test_what_is_in_flight_counts_at_its_most(tmp_path, bounded, budget, at_once):
    engine = Steered(slots=4)
    state = work_off(tmp_path, engine, budget_usd=Decimal(budget))
    assert engine.most == at_once
    assert state.cost_usd <= Decimal(budget)


def test_a_lost_call_is_asked_again_and_counts_at_its_most(tmp_path, bounded):
    engine = Steered(slots=2, deaths={1, 4})
    state = work_off(tmp_path, engine, budget_usd=Decimal(1000))
    assert (state.done, state.lost, state.lost_usd, state.cost_usd) == (6, 2, 6, 12)
    assert len(engine.begun) == 8
    assert engine.most <= 2


def test_a_lost_call_needs_room_in_the_budget_to_be_asked_again(tmp_path, bounded):
    engine = Steered(slots=1, deaths={1})
    state = work_off(tmp_path, engine, budget_usd=Decimal("5.99"))
    assert engine.begun == ["r0"]
    assert "3 of 5.99 USD are spent, and the next item may cost 3" in state.stopped


def test_an_item_that_ends_every_worker_is_named(tmp_path, bounded):
    with pytest.raises(BackfillError, match="4 workers ended while they answered item 'r0'"):
        work_off(tmp_path, Steered(slots=1, deaths={1, 2, 3, 4}))


def test_a_scheduler_that_goes_is_named_and_what_finished_stays(tmp_path, bounded):
    class Goes(Steered):
        def submit(self, item):
            future = super().submit(item)
            if len(self.begun) == 4:
                future = Future()
                future.cancel()
                future.set_running_or_notify_cancel()
            return future

    with pytest.raises(BackfillError, match="scheduler is gone"):
        work_off(tmp_path, Goes(slots=1))
    state = work_off(tmp_path, Steered())
    assert (state.resumed, state.done, state.lost) == (3, 6, 1)


def test_the_rate_is_that_of_all_workers_together(tmp_path, bounded, monkeypatch):
    now = [0.0]

    class Clocked:
        @staticmethod
        def monotonic():
            now[0] += 0.001
            return now[0]

    monkeypatch.setattr(module, "time", Clocked)
    began = []

    class Noted(Steered):
        def submit(self, item):
            began.append(now[0])
            return super().submit(item)

    work_off(tmp_path, Noted(slots=1), per_second=5.0)
    assert min(b - a for a, b in pairwise(began)) >= 0.19
