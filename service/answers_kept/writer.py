"""Writes the record of each answered request to DynamoDB and S3 in the background; records wait on disk while a store fails."""

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Protocol

from service.answers_kept.answer_record import ServedRecord
from service.answers_kept.spool import Spool, SpoolError
from service.answers_kept.sweep import Sweep
from service.kit.aws.bounded import RecordRefused, patiently
from service.kit.frame.errors import ServiceError, StoreError
from service.kit.telemetry import metrics
from service.kit.telemetry.log import Event, log

_THREADS = 8
# With this many records pending in memory, further records wait on disk only, for the next replay.
_MOST_PENDING = 1000
# Most records to hold in memory that neither the disk nor a store took; further ones are lost and logged.
_MOST_HOMELESS = 1000
_REPLAY_BATCH = 64
_LONGEST_PAUSE_S = 30.0
_PATIENCE_S = 2.0


class RecordStore(Protocol):
    """A store of records; putting a record again changes nothing."""

    def put(self, record: ServedRecord) -> str:
        """Keep ``record``. Blocking.

        Raises:
            StoreError: the store failed; try again later.
            RecordRefused: the store will never take this record.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class _Waiting:
    """A record to write; ``path`` is its file in the spool, ``kept`` True when the outbox holds it for certain."""

    record: ServedRecord
    path: Path | None = None
    kept: bool = False


@dataclass(slots=True)
class WriteCounts:
    """Counts of records since the start; ``failures`` counts attempts, ``written`` includes ``replayed``."""

    accepted: int = 0
    written: int = 0
    replayed: int = 0
    failures: int = 0
    unspooled: int = 0
    refused: int = 0
    lost: int = 0


class _Paused(StoreError):
    """The store was not asked, because it failed a moment ago."""


class _Store:
    """One of the two stores with its threads and its pause after a failure, which doubles each time and ends with a success."""

    def __init__(self, name: str, store: RecordStore, *, first_pause_s: float, clock: Callable[[], float]) -> None:
        self.pool = ThreadPoolExecutor(_THREADS, thread_name_prefix=name)
        self._store = store
        self._first_pause_s = first_pause_s
        self._clock = clock
        self._pause_s = 0.0
        self._not_before = 0.0

    @property
    def paused(self) -> bool:
        return self._clock() < self._not_before

    def put(self, record: ServedRecord, *, even_if_paused: bool) -> ServiceError | None:
        # Returns the error instead of raising it: the outcome for the record depends on both stores.
        if self.paused and not even_if_paused:
            return _Paused("paused after a failure")
        try:
            patiently(partial(self._store.put, record), timeout_s=_PATIENCE_S)
        except RecordRefused as err:
            return err
        except Exception as err:  # a bug in a store's adapter must not end the thread and lose the record
            # Eight threads fail together: only the first failure doubles the pause.
            if not self.paused:
                self._pause_s = min(max(self._pause_s * 2, self._first_pause_s), _LONGEST_PAUSE_S)
                self._not_before = self._clock() + self._pause_s
            return err if isinstance(err, ServiceError) else ServiceError(f"unexpected {type(err).__name__}")
        self._pause_s = self._not_before = 0.0
        return None


class SummaryWriter:
    """Accepts records without waiting for a store; ``start`` it, and ``close`` it to drain.

    A record is first written to the spool and then, in threads, to both stores in parallel; its file goes when both hold it.
    A background thread replays the remaining files: after a failure, an overflow, or the death of an earlier process. With
    ``sweep`` it also clears the outbox and writes what other processes left in it. Both writes are idempotent, so a record that
    is written twice exists once.
    """

    def __init__(
        self,
        table: RecordStore,
        archive: RecordStore,
        spool: Spool,
        *,
        sweep: Sweep | None = None,
        replay_every_s: float = 1.0,
        others_after_s: float = 10.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """``table`` and ``archive`` are the two stores; files of other processes are replayed when ``others_after_s`` old."""
        self._stores = (
            _Store("summary-table", table, first_pause_s=replay_every_s, clock=clock),
            _Store("summary-object", archive, first_pause_s=replay_every_s, clock=clock),
        )
        self._spool = spool
        self._sweep = sweep
        self._replay_every_s = replay_every_s
        self._others_after_s = others_after_s
        self._counts = WriteCounts()
        self._lock = threading.Lock()
        self._in_flight: set[str] = set()
        self._homeless: dict[str, ServedRecord] = {}
        self._stop = threading.Event()
        self._replayer: threading.Thread | None = None

    def start(self) -> None:
        """Start the replay thread."""
        self._replayer = threading.Thread(target=self._replay_for_ever, name="summary-replay", daemon=True)
        self._replayer.start()

    def keep(self, record: ServedRecord, *, kept: bool = False) -> None:
        """Accept one record: writes a small file (well under 1 ms); both stores follow in the background. Never raises.

        ``kept`` says that the outbox holds it: then it is not lost even if disk and memory cannot take it.
        """
        path: Path | None = None
        try:
            path = self._spool.add(record)
        except SpoolError as err:
            log(Event.SUMMARY_SPOOL_FAILURE, request_id=record.request_id, error=str(err))
        self._accept(_Waiting(record=record, path=path, kept=kept))

    def take(self, path: Path) -> None:
        """Accept a record that another process put into the spool; ignores one that is gone or already written."""
        record = self._spool.read(path)
        if record is not None and record.request_id not in self._in_flight:
            self._accept(_Waiting(record=record, path=path))

    def _accept(self, waiting: _Waiting) -> None:
        with self._lock:
            self._counts.accepted += 1
            self._counts.unspooled += waiting.path is None
            # While both stores are down, writing would only wait for timeouts: the file is enough, the replay retries it.
            down = all(store.paused for store in self._stores)
            if down or self._stop.is_set() or len(self._in_flight) >= _MOST_PENDING:
                metrics.count(metrics.SPOOLED)
                self._find_room(waiting)
                return
            self._in_flight.add(waiting.record.request_id)
        self._stores[0].pool.submit(self._write, waiting, replay=False)

    def _write(self, waiting: _Waiting, *, replay: bool) -> bool:
        # Returns whether the record is settled: both stores hold it, or one refused it permanently.
        record, path = waiting.record, waiting.path
        error = self._both(record, replay=replay)
        refused = isinstance(error, RecordRefused)
        if isinstance(error, ServiceError) and not isinstance(error, _Paused):
            event = Event.SUMMARY_REFUSED if refused else Event.SUMMARY_WRITE_FAILURE
            log(event, request_id=record.request_id, error=str(error))
        elif replay and error is None:
            log(Event.SUMMARY_REPLAYED, request_id=record.request_id)
        if path is not None and refused:
            self._spool.set_aside(path)
        elif path is not None and error is None:
            self._spool.remove(path)
        if self._sweep is not None and refused:
            self._sweep.refused(record.request_id, str(error))
        elif self._sweep is not None and error is None:
            self._sweep.settled(record.request_id)
        with self._lock:
            self._in_flight.discard(record.request_id)
            if error is None or refused:
                self._counts.written += not refused
                self._counts.refused += refused
                self._counts.replayed += replay and not refused
                self._homeless.pop(record.request_id, None)
            else:
                self._counts.failures += 1
                if not replay:
                    metrics.count(metrics.SPOOLED)
                self._find_room(waiting)
        return error is None or refused

    def _both(self, record: ServedRecord, *, replay: bool) -> ServiceError | None:
        table, archive = self._stores
        other: Future[ServiceError | None] = archive.pool.submit(archive.put, record, even_if_paused=replay)
        errors = [err for err in (table.put(record, even_if_paused=replay), other.result()) if err is not None]
        # A refusal counts only when the other store did not fail; an error is more informative than a pause.
        return min(errors, key=lambda err: (isinstance(err, RecordRefused), isinstance(err, _Paused)), default=None)

    def _find_room(self, waiting: _Waiting) -> None:
        record = waiting.record
        if waiting.path is not None or waiting.kept or record.request_id in self._homeless:
            return
        if len(self._homeless) < _MOST_HOMELESS:
            self._homeless[record.request_id] = record
        else:
            self._give_up(record)

    def _give_up(self, record: ServedRecord) -> None:
        self._counts.lost += 1
        log(Event.SUMMARY_LOST, request_id=record.request_id)

    def _replay_for_ever(self) -> None:
        while not self._stop.wait(self._replay_every_s):
            if any(store.paused for store in self._stores):
                continue
            try:
                self.replay()
                self.sweep()
            except Exception as err:  # the thread must survive: log the error and try again later
                log(Event.SUMMARY_WRITE_FAILURE, error=type(err).__name__)

    def replay(self) -> int:
        """Write the waiting records, oldest first, until all are settled or a store fails; return the number settled."""
        return self._write_all(self._waiting())

    def sweep(self) -> int:
        """Clear the outbox and write what other processes left in it, when that is due; return the number settled.

        Raises:
            StoreError: the outbox does not answer.
        """
        if self._sweep is None:
            return 0
        self._sweep.clear()
        done = self._write_all(_Waiting(record=found, kept=True) for found in self._sweep.left_behind())
        self._sweep.clear()
        return done

    def _write_all(self, waiting: Iterator[_Waiting]) -> int:
        done, size = 0, 1  # a single record first, to test whether the stores are back
        while batch := list(islice(waiting, size)):
            futures = [self._stores[0].pool.submit(self._write, entry, replay=True) for entry in batch]
            results = [future.result() for future in futures]
            done += sum(results)
            if not all(results):
                break
            size = _REPLAY_BATCH
        return done

    def _waiting(self) -> Iterator[_Waiting]:
        with self._lock:
            homeless = list(self._homeless.values())
        for record in homeless:
            yield _Waiting(record=record)
        for path in self._spool.waiting(older_than_s=self._others_after_s):
            with self._lock:
                mine = any(path.stem.endswith(request_id) for request_id in self._in_flight)
            if not mine and (found := self._spool.read(path)) is not None:
                yield _Waiting(record=found, path=path)

    def close(self, *, drain_s: float = 5.0) -> None:
        """Stop replaying and wait up to ``drain_s`` for pending writes; the rest waits on disk for the next start."""
        self._stop.set()
        deadline = time.monotonic() + drain_s
        while self._in_flight and time.monotonic() < deadline:
            time.sleep(0.01)
        for store in self._stores:
            store.pool.shutdown(wait=False, cancel_futures=True)
        if self._replayer is not None:
            self._replayer.join(timeout=max(deadline - time.monotonic(), 0.1))
        with self._lock:
            for record in self._homeless.values():
                try:
                    self._spool.add(record)
                except SpoolError:
                    self._give_up(record)
            self._homeless.clear()
        if self._sweep is not None:
            self._sweep.clear()

    def snapshot(self) -> Mapping[str, int]:
        """Return the counts since the start, and the number of records in memory."""
        with self._lock:
            return {**asdict(self._counts), "in_flight": len(self._in_flight), "homeless": len(self._homeless)}
