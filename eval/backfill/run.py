"""Runs a backfill: items are answered within a rate and a budget, and a restart asks nothing again that has finished."""

import json
import queue
import time
from collections import Counter, deque
from collections.abc import Callable, Sequence
from concurrent.futures import CancelledError, Future
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path

from eval.backfill.budget import CostBound
from eval.backfill.engines import BackfillEngine, Lane
from eval.backfill.journal import BackfillJournal
from eval.backfill.work import ItemRow, Mode, Work, WorkItem
from eval.spine.alone import working_alone
from eval.spine.errors import BackfillError, HarnessError
from service.core.run.task import load_task
from service.core.unit.cards import ModelCard
from service.core.unit.pair import Pair
from service.kit.frame.canonical import canonical_json, sha256_hex
from service.kit.frame.errors import ServiceError
from service.kit.frame.files import write_whole
from service.kit.settings import Settings

_PLAN = "plan.json"
_TICK_S = 0.5  # how long nothing happens before lost workers are looked for and the progress is said
_MOST_LOSSES = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class BackfillProgress:
    """The progress of a backfill. Earlier runs finished ``resumed`` items; ``stopped`` is why this one ended early, or "".

    ``lost`` calls ended with their process: they were asked again, and ``cost_usd`` counts ``lost_usd`` for them, the most that
    they can have cost.
    """

    items: int
    resumed: int
    done: int
    failed: int
    lost: int
    in_flight: int
    workers: int
    cost_usd: Decimal
    lost_usd: Decimal
    stopped: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class BackfillOrder:
    """What to do with the items, within which limits. ``pair`` is None for ``rescore``, which calls no model."""

    task: str
    mode: Mode
    folder: Path
    pair: Pair | None = None
    cards: Sequence[ModelCard] = ()  # of the pair's models
    chunk_size: int = 50
    per_second: float | None = None
    budget_usd: Decimal | None = None

    def digest(self, items: Sequence[WorkItem]) -> str:
        """Return the digest that identifies the work: task, mode, pair, chunk size and the ids of the items."""
        return sha256_hex(
            canonical_json(
                [self.task, self.mode, self.pair and self.pair.digest, self.chunk_size, [item.id for item in items]]
            )
        )


def backfill(
    order: BackfillOrder,
    items: Sequence[WorkItem],
    engine: BackfillEngine,
    settings: Settings,
    say: Callable[[BackfillProgress], None],
) -> BackfillProgress:
    """Process ``items`` in the order of their ids and return the progress; the row of every finished item stays on disk.

    An item begins only if the budget covers what it costs at most, on top of what was spent and of what the items in flight cost
    at most. So the budget is never exceeded, whatever the number of workers and however many of them die.

    Raises:
        AlreadyRunning: another process works in the folder.
        BackfillError: the folder holds other work, two items have the same id, or the engine cannot go on.
    """
    ordered = sorted(items, key=lambda item: item.id)
    if len({item.id for item in ordered}) != len(ordered):
        raise BackfillError("an id occurs twice among the items; give each request one line")
    bound = None
    if order.budget_usd is not None and order.pair is not None:
        bound = CostBound(order.pair, order.cards, load_task(order.task))
    with working_alone(order.folder.with_name(f".{order.folder.name}.lock"), f"the backfill in {order.folder}"):
        _claim(order, ordered)
        journal = BackfillJournal.open(order.folder, ordered, order.chunk_size)
        run = _Run(order=order, journal=journal, bound=bound, say=say, resumed=journal.done, left=deque(journal.left()))
        try:
            if run.left and run.affordable(run.left[0]):
                with engine.open(_work(order, settings)) as lane:
                    run.go_on(lane)
            return run.progress()
        finally:
            journal.close()


def _work(order: BackfillOrder, settings: Settings) -> Work:
    return Work(
        task=order.task,
        mode=order.mode,
        pair=order.pair.content() if order.pair else {},
        cards=[card.model_dump(mode="json") for card in order.cards],
        # Without secrets: workers sign nothing, and their logs contain no personal data.
        settings=settings.flat(defaults=False),
    )


@dataclass(slots=True, kw_only=True)
class _Run:
    order: BackfillOrder
    journal: BackfillJournal
    bound: CostBound | None
    say: Callable[[BackfillProgress], None]
    resumed: int
    left: deque[WorkItem]
    flying: dict["Future[ItemRow]", WorkItem] = field(default_factory=dict)
    losses: Counter[str] = field(default_factory=Counter)
    workers: int = 0
    next_s: float = 0.0
    ended: "queue.SimpleQueue[Future[ItemRow]]" = field(default_factory=queue.SimpleQueue)

    def go_on(self, lane: Lane) -> None:
        while True:
            self._begin(lane)
            if not self.flying and (not self.left or not self.affordable(self.left[0])):
                return
            self._collect(lane)
            for future in lane.lost():
                self._lose(future)
            self.workers = lane.workers
            self.say(self.progress())

    def affordable(self, item: WorkItem) -> bool:
        if self.order.budget_usd is None or self.bound is None:
            return True
        taken = self.journal.spent_usd + self.journal.reserved_usd
        return taken + self.bound.most_usd(item) <= self.order.budget_usd

    def progress(self) -> BackfillProgress:
        book, stopped = self.journal, ""
        if self.left and not self.flying and self.bound is not None and not self.affordable(self.left[0]):
            stopped = (
                f"{book.spent_usd:f} of {self.order.budget_usd:f} USD are spent, and the next item may cost "
                f"{self.bound.most_usd(self.left[0]):f}; raise --budget to continue"
            )
        return BackfillProgress(
            items=len(book.items), resumed=self.resumed, done=book.done, failed=book.failed, lost=book.lost,
            in_flight=len(self.flying), workers=self.workers, cost_usd=book.spent_usd, lost_usd=book.lost_usd, stopped=stopped,
        )  # fmt: skip

    def _begin(self, lane: Lane) -> None:
        slots = lane.slots
        while self.left and len(self.flying) < slots and time.monotonic() >= self.next_s:
            item = self.left[0]
            if not self.affordable(item):
                return
            self.left.popleft()
            self.journal.begin(item, self.bound.most_usd(item) if self.bound else Decimal(0))
            if self.order.per_second is not None:
                self.next_s = max(self.next_s, time.monotonic()) + 1 / self.order.per_second
            future = lane.submit(item)
            self.flying[future] = item
            future.add_done_callback(self.ended.put)

    def _collect(self, lane: Lane) -> None:
        """Wait for an item to end, for the next that may begin, or for a moment; then keep all rows that are here."""
        wait_s = _TICK_S
        if self.left and len(self.flying) < lane.slots and self.order.per_second is not None:
            wait_s = min(wait_s, max(self.next_s - time.monotonic(), 0.001))
        try:
            self._keep(lane, self.ended.get(timeout=wait_s))
        except queue.Empty:
            return
        while not self.ended.empty():
            self._keep(lane, self.ended.get())

    def _keep(self, lane: Lane, future: "Future[ItemRow]") -> None:
        lane.landed(future)
        item = self.flying.pop(future, None)
        if item is None:
            return  # lost, and cancelled since
        try:
            row = future.result()
        except (HarnessError, ServiceError):
            raise
        except CancelledError:
            raise BackfillError(
                "the cluster's scheduler is gone; finished items are kept: run the same command again"
            ) from None
        except Exception as err:
            raise BackfillError(
                f"item {item.id!r} cannot be answered here: {type(err).__name__}: {err}; finished items are kept"
            ) from err
        self.journal.end(row)
        if self.bound is not None:
            self.bound.saw(row)

    def _lose(self, future: "Future[ItemRow]") -> None:
        item = self.flying.pop(future)
        self.journal.lose(item.id)
        self.losses[item.id] += 1
        if self.losses[item.id] > _MOST_LOSSES:
            raise BackfillError(
                f"{self.losses[item.id]} workers ended while they answered item {item.id!r}: look at their logs and memory, "
                "or leave the item out; finished items are kept"
            )
        self.left.appendleft(item)


def _claim(order: BackfillOrder, ordered: Sequence[WorkItem]) -> None:
    order.folder.mkdir(parents=True, exist_ok=True)
    plan, digest = order.folder / _PLAN, order.digest(ordered)
    if plan.exists():
        if json.loads(plan.read_text(encoding="utf-8"))["digest"] != digest:
            raise BackfillError(f"{order.folder} holds other work (items, pair or chunk size): choose another --name")
        return
    write_whole(plan, json.dumps({"digest": digest, "items": len(ordered)}))
