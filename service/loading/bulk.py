"""Loads files with one JSON object per line: history without an S3 object for each event, and the scale benchmark.

Lines go through the same functions as single objects, in as many processes as there are cores; one process merges. A file that
was loaded before with the same content is skipped. An interrupted file is loaded again, and rows already loaded do not change.
"""

import hashlib
import os
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from itertools import islice
from pathlib import Path

from service.core.redaction.texts import TextRedactor
from service.kit.frame.errors import ConfigurationError
from service.kit.frame.process.pools import SpawnedPool
from service.kit.records.tombstones import Tombstones, nobody_erased
from service.kit.telemetry.fields import set_account_key
from service.loading.arrow_tables import table_of
from service.loading.batch import Dead, Prepared, joined, prepare
from service.loading.loader import Opened
from service.loading.merging import LoadTally, join_verdicts, merge_batch, oldest_moment
from service.loading.objects import Fetched, is_erased, kind_of_line
from service.loading.queries import known_versions
from service.warehouse.events import LoadEvent

CHUNK_LINES = 20_000
_CHUNKS_AT_ONCE = 5  # chunks per transaction: each transaction makes the warehouse write all its columns
_SUFFIX = ".jsonl"
_PREFIX = "bulk/"  # prefix of bulk keys in omni_loads; no object of the bucket has it


@dataclass(frozen=True, slots=True, kw_only=True)
class FileChunk:
    """Consecutive lines of a file, beginning at line number ``first``."""

    file: Path
    digest: str
    first: int
    lines: tuple[bytes, ...]


@dataclass(slots=True)
class Timings:
    """The duration of a load of ``lines`` objects, in wall-clock seconds or (``*_cpu_s``) CPU seconds over all processes."""

    lines: int = 0
    prepare_cpu_s: float = 0.0
    merge_s: float = 0.0
    merge_cpu_s: float = 0.0
    verdicts_s: float = 0.0
    wall_s: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class BulkLoader:
    """Loads files into a warehouse. Every process hashes account numbers with ``account_key``."""

    open_warehouse: Opened
    account_key: bytes
    redactor: Callable[[], TextRedactor]  # called once in each process; can be pickled
    tombstones: Callable[[], Tombstones] = nobody_erased  # likewise
    processes: int = field(default_factory=lambda: os.cpu_count() or 1)
    chunk_lines: int = CHUNK_LINES
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    clock: Callable[[], float] = time.perf_counter
    report: Callable[[Path, LoadTally, Timings], None] = lambda file, tally, timings: None

    def load(self, folder: Path) -> tuple[LoadTally, Timings]:
        """Load every ``*.jsonl`` file of a folder, or one file.

        Raises:
            ConfigurationError: there is no such file.
            WarehouseError: the warehouse refused a batch; earlier batches stay loaded.
        """
        files = _files(folder)
        total, timings, begun = LoadTally(), Timings(), self.clock()
        with (
            closing(self.open_warehouse()) as warehouse,
            SpawnedPool(
                self.processes, initializer=_open, initargs=(self.account_key, self.redactor, self.tombstones)
            ) as pool,
        ):
            warehouse.migrate()
            digests = {file: _digest(file) for file in files}
            known = known_versions(warehouse, [_PREFIX + file.name for file in files])
            for file in files:
                if (_PREFIX + file.name, digests[file]) in known:
                    total.known += 1
                    continue
                tally, since = LoadTally(), None
                ready = self._prepared(pool, file, digests[file])
                while chunks := list(islice(ready, _CHUNKS_AT_ONCE)):
                    start, start_cpu = self.clock(), time.process_time()
                    batch = joined([prepared for _, prepared, _ in chunks])
                    timings.lines += sum(count for count, _, _ in chunks)
                    timings.prepare_cpu_s += sum(seconds for _, _, seconds in chunks)
                    tally.add(merge_batch(warehouse, batch, self.now(), bury=_nowhere, record=False))
                    moments = [moment for moment in (since, oldest_moment(batch)) if moment is not None]
                    since = min(moments, default=None)
                    timings.merge_s += self.clock() - start
                    timings.merge_cpu_s += time.process_time() - start_cpu
                    self.report(file, tally, timings)
                start = self.clock()
                if since is not None:
                    tally.verdicts = join_verdicts(warehouse, since)
                timings.verdicts_s += self.clock() - start
                row = (_PREFIX + file.name, digests[file], "bulk", "loaded", None, tally.rows, self.now())
                warehouse.merge(LoadEvent, table_of(LoadEvent, [row]))
                total.add(tally)
        timings.wall_s = self.clock() - begun
        return total, timings

    def _prepared(self, pool: ProcessPoolExecutor, file: Path, digest: str) -> Iterator[tuple[int, Prepared, float]]:
        # Bounded: at most two chunks per process are in memory, the current one and the next.
        running: deque[Future[tuple[int, Prepared, float]]] = deque()
        chunks = _chunks(file, digest, self.chunk_lines)
        try:
            for chunk in chunks:
                running.append(pool.submit(prepare_chunk, chunk, self.now()))
                if len(running) > 2 * self.processes:
                    yield running.popleft().result()
            while running:
                yield running.popleft().result()
        finally:
            for future in running:
                future.cancel()


# A process's own redactor, set once by the pool's initializer.
_process: dict[str, TextRedactor] = {}
_erased: dict[str, Tombstones] = {}


def _open(account_key: bytes, redactor: Callable[[], TextRedactor], tombstones: Callable[[], Tombstones]) -> None:
    set_account_key(account_key)
    _process["redactor"] = redactor()
    _erased["tombstones"] = tombstones()


def prepare_chunk(chunk: FileChunk, now: datetime) -> tuple[int, Prepared, float]:
    """Return a chunk's number of lines, its prepared rows and the CPU seconds used; runs in a worker process."""
    begun = time.process_time()
    name = f"{_PREFIX}{chunk.file.name}#"
    items = (
        Fetched(key=f"{name}{number}", etag=chunk.digest, body=line, kind=kind_of_line(line))
        for number, line in enumerate(chunk.lines, start=chunk.first)
    )
    prepared = prepare(items, now, _process["redactor"], is_erased=partial(is_erased, _erased["tombstones"]))
    return len(chunk.lines), prepared, time.process_time() - begun


def _nowhere(dead: Sequence[Dead]) -> None:
    """Write no dead letters: ``omni_loads`` names the file and line, and the file still exists."""


def _files(folder: Path) -> list[Path]:
    found = sorted(folder.glob(f"*{_SUFFIX}")) if folder.is_dir() else [folder] if folder.is_file() else []
    if not found:
        raise ConfigurationError(
            f"{folder} holds no *{_SUFFIX} file: provide files with one JSON object per line, each like an object of the bucket"
        )
    return found


def _chunks(file: Path, digest: str, size: int) -> Iterator[FileChunk]:
    lines: list[bytes] = []
    first = 1
    with file.open("rb") as source:
        for number, line in enumerate(source, start=1):
            lines.append(line)
            if len(lines) == size:
                yield FileChunk(file=file, digest=digest, first=first, lines=tuple(lines))
                lines, first = [], number + 1
    if lines:
        yield FileChunk(file=file, digest=digest, first=first, lines=tuple(lines))


def _digest(file: Path) -> str:
    with file.open("rb") as source:
        return hashlib.file_digest(source, "sha256").hexdigest()
