"""Writes items to their stores in the background; items wait on disk while a store fails."""

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Generic, Protocol, TypeVar

from service.kit.aws.bounded import RecordRefused, patiently
from service.kit.delivery.breaker import BreakerPolicy, BreakerState, CircuitBreaker
from service.kit.delivery.outbox import Sweep
from service.kit.delivery.shape import DeliveryOutcome, Item
from service.kit.delivery.spool import Spool, SpoolError
from service.kit.frame.errors import ServiceError, StoreError
from service.kit.frame.retries import RetryPlan

_THREADS = 8
# With this many items pending in memory, further items wait on disk only, for the next replay.
_MOST_PENDING = 1000
# Most items to hold in memory that neither the disk nor a store took; further ones are lost, which is told.
_MOST_HOMELESS = 1000
_REPLAY_BATCH = 64
_LONGEST_PAUSE_S = 30.0
_PATIENCE_S = 2.0


_Given = TypeVar("_Given", contravariant=True)


class Store(Protocol[_Given]):
    """A store of items; putting an item again changes nothing."""

    def put(self, item: _Given, /) -> object:
        """Keep ``item``. Blocking.

        Raises:
            StoreError: the store failed; try again later.
            RecordRefused: the store will never take this item.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class _Waiting(Generic[Item]):
    """An item to write; ``path`` is its file in the spool, ``kept`` True when the outbox holds it for certain."""

    id: str
    item: Item
    path: Path | None = None
    kept: bool = False


@dataclass(slots=True)
class WriteCounts:
    """Counts of items since the start; ``failures`` counts attempts, ``written`` includes ``replayed``."""

    accepted: int = 0
    written: int = 0
    replayed: int = 0
    failures: int = 0
    unspooled: int = 0
    refused: int = 0
    lost: int = 0


class _Paused(StoreError):
    """The store was not asked, because it failed a moment ago."""


class _Door(Generic[Item]):
    """One of the stores with its threads and its breaker, which opens at the first failure."""

    def __init__(
        self, name: str, store: Store[Item], *, threads: int, first_pause_s: float, clock: Callable[[], float]
    ) -> None:
        self.pool = ThreadPoolExecutor(threads, thread_name_prefix=name)
        self._store = store
        pauses = RetryPlan(first_s=first_pause_s, longest_s=_LONGEST_PAUSE_S)
        self._breaker = CircuitBreaker(name, BreakerPolicy(failures_in_a_row=1, pauses=pauses), clock, lambda *_: None)

    @property
    def paused(self) -> bool:
        return self._breaker.state is BreakerState.OPEN

    def put(self, item: Item, *, replay: bool) -> ServiceError | None:
        # Returns the error instead of raising it: the outcome for the item depends on all stores.
        permit = self._breaker.insist() if replay else self._breaker.admit()
        if permit is None:
            return _Paused("paused after a failure")
        try:
            patiently(partial(self._store.put, item), timeout_s=_PATIENCE_S)
        except RecordRefused as err:
            permit.give_back()
            return err
        except Exception as err:  # a bug in a store's adapter must not end the thread and lose the item
            permit.failed()
            return err if isinstance(err, ServiceError) else ServiceError(f"unexpected {type(err).__name__}")
        permit.succeeded()
        return None


class SpooledWriter(Generic[Item]):
    """Accepts items without waiting for a store; ``start`` it, and ``close`` it to drain.

    An item is first written to the spool and then, in threads, to all stores in parallel; its file goes when all hold it.
    A background thread replays the remaining files: after a failure, an overflow, or the death of an earlier process. With
    ``sweep`` it also clears the outbox and writes what other processes left in it. The writes are idempotent, so an item that
    is written twice exists once.
    """

    def __init__(
        self,
        stores: Mapping[str, Store[Item]],
        spool: Spool[Item],
        *,
        sweep: Sweep[Item] | None = None,
        threads: int = _THREADS,
        replay_every_s: float = 1.0,
        others_after_s: float = 10.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """``stores`` by name, each with ``threads``; files of other processes are replayed when ``others_after_s`` old."""
        self._doors = tuple(
            _Door(name, store, threads=threads, first_pause_s=replay_every_s, clock=clock)
            for name, store in stores.items()
        )
        self._spool = spool
        self._shape = spool.shape
        self._sweep = sweep
        self._replay_every_s = replay_every_s
        self._others_after_s = others_after_s
        self._counts = WriteCounts()
        self._lock = threading.Lock()
        self._in_flight: set[str] = set()
        self._homeless: dict[str, Item] = {}
        self._stop = threading.Event()
        self._replayer: threading.Thread | None = None

    def start(self) -> None:
        """Start the replay thread."""
        self._replayer = threading.Thread(target=self._replay_for_ever, name="spool-replay", daemon=True)
        self._replayer.start()

    def keep(self, item: Item, *, kept: bool = False) -> None:
        """Accept one item: writes a small file (well under 1 ms); the stores follow in the background. Never raises.

        ``kept`` says that the outbox holds it: then it is not lost even if disk and memory cannot take it.
        """
        name, path = self._shape.id_of(item), None
        try:
            path = self._spool.add(item)
        except SpoolError as err:
            self._shape.tell(DeliveryOutcome.UNSPOOLED, name, str(err))
        self._accept(_Waiting(id=name, item=item, path=path, kept=kept))

    def take(self, path: Path) -> None:
        """Accept an item that another process put into the spool; ignores one that is gone or already written."""
        item = self._spool.read(path)
        if item is not None and (name := self._shape.id_of(item)) not in self._in_flight:
            self._accept(_Waiting(id=name, item=item, path=path))

    def _accept(self, waiting: _Waiting[Item]) -> None:
        with self._lock:
            self._counts.accepted += 1
            self._counts.unspooled += waiting.path is None
            # While all stores are down, writing would only wait for timeouts: the file is enough, the replay retries it.
            down = all(door.paused for door in self._doors)
            if down or self._stop.is_set() or len(self._in_flight) >= _MOST_PENDING:
                self._shape.tell(DeliveryOutcome.WAITING, waiting.id, "")
                self._find_room(waiting)
                return
            self._in_flight.add(waiting.id)
        self._doors[0].pool.submit(self._write, waiting, replay=False)

    def _write(self, waiting: _Waiting[Item], *, replay: bool) -> bool:
        # Returns whether the item is settled: all stores hold it, or one refused it permanently.
        error = self._put(waiting.item, replay=replay)
        refused = isinstance(error, RecordRefused)
        if error is not None and not isinstance(error, _Paused):
            self._shape.tell(DeliveryOutcome.REFUSED if refused else DeliveryOutcome.FAILED, waiting.id, str(error))
        elif replay and error is None:
            self._shape.tell(DeliveryOutcome.REPLAYED, waiting.id, "")
        self._file_away(waiting, error)
        with self._lock:
            self._in_flight.discard(waiting.id)
            if error is None or refused:
                self._counts.written += not refused
                self._counts.refused += refused
                self._counts.replayed += replay and not refused
                self._homeless.pop(waiting.id, None)
            else:
                self._counts.failures += 1
                if not replay:
                    self._shape.tell(DeliveryOutcome.WAITING, waiting.id, "")
                self._find_room(waiting)
        return error is None or refused

    def _put(self, item: Item, *, replay: bool) -> ServiceError | None:
        first, *others = self._doors
        running = [door.pool.submit(door.put, item, replay=replay) for door in others]
        found = [first.put(item, replay=replay), *(one.result() for one in running)]
        # A refusal counts only when no other store failed; an error is more informative than a pause.
        errors = [err for err in found if err is not None]
        return min(errors, key=lambda err: (isinstance(err, RecordRefused), isinstance(err, _Paused)), default=None)

    def _file_away(self, waiting: _Waiting[Item], error: ServiceError | None) -> None:
        refused = isinstance(error, RecordRefused)
        if waiting.path is not None:
            if refused:
                self._spool.set_aside(waiting.path)
            elif error is None:
                self._spool.remove(waiting.path)
            elif not isinstance(error, _Paused):
                self._spool.put_behind(waiting.path)
        if self._sweep is not None:
            if refused:
                self._sweep.refused(waiting.id, str(error))
            elif error is None:
                self._sweep.settled(waiting.id)

    def _find_room(self, waiting: _Waiting[Item]) -> None:
        if waiting.path is not None or waiting.kept or waiting.id in self._homeless:
            return
        if len(self._homeless) < _MOST_HOMELESS:
            self._homeless[waiting.id] = waiting.item
        else:
            self._give_up(waiting.id)

    def _give_up(self, name: str) -> None:
        self._counts.lost += 1
        self._shape.tell(DeliveryOutcome.LOST, name, "")

    def _replay_for_ever(self) -> None:
        while not self._stop.wait(self._replay_every_s):
            if any(door.paused for door in self._doors):
                continue
            try:
                self.replay()
                self.sweep()
            except Exception as err:  # the thread must survive: tell the error and try again later
                self._shape.tell(DeliveryOutcome.FAILED, "", type(err).__name__)

    def replay(self) -> int:
        """Write the waiting items, oldest first, until all are settled or a store fails; return the number settled."""
        return self._write_all(self._waiting())

    def sweep(self) -> int:
        """Clear the outbox and write what other processes left in it, when that is due; return the number settled.

        Raises:
            StoreError: the outbox does not answer.
        """
        if self._sweep is None:
            return 0
        self._sweep.clear()
        found = (_Waiting(id=self._shape.id_of(item), item=item, kept=True) for item in self._sweep.left_behind())
        done = self._write_all(found)
        self._sweep.clear()
        return done

    def _write_all(self, waiting: Iterator[_Waiting[Item]]) -> int:
        done, size = 0, 1  # a single item first, to test whether the stores are back
        while batch := list(islice(waiting, size)):
            futures = [self._doors[0].pool.submit(self._write, entry, replay=True) for entry in batch]
            results = [future.result() for future in futures]
            done += sum(results)
            if not all(results):
                break
            size = _REPLAY_BATCH
        return done

    def _waiting(self) -> Iterator[_Waiting[Item]]:
        with self._lock:
            homeless = list(self._homeless.items())
        for name, item in homeless:
            yield _Waiting(id=name, item=item)
        for path in self._spool.waiting(older_than_s=self._others_after_s):
            with self._lock:
                mine = self._shape.id_in(path.stem) in self._in_flight
            if not mine and (found := self._spool.read(path)) is not None:
                yield _Waiting(id=self._shape.id_of(found), item=found, path=path)

    def close(self, *, drain_s: float = 5.0) -> None:
        """Stop replaying and wait up to ``drain_s`` for pending writes; the rest waits on disk for the next start."""
        self._stop.set()
        deadline = time.monotonic() + drain_s
        while self._in_flight and time.monotonic() < deadline:
            time.sleep(0.01)
        for door in self._doors:
            door.pool.shutdown(wait=False, cancel_futures=True)
        if self._replayer is not None:
            self._replayer.join(timeout=max(deadline - time.monotonic(), 0.1))
        with self._lock:
            for name, item in self._homeless.items():
                try:
                    self._spool.add(item)
                except SpoolError:
                    self._give_up(name)
            self._homeless.clear()
        if self._sweep is not None:
            self._sweep.clear()

    def snapshot(self) -> Mapping[str, int]:
        """Return the counts since the start, and the number of items in memory."""
        with self._lock:
            return {**asdict(self._counts), "in_flight": len(self._in_flight), "homeless": len(self._homeless)}
