"""Loads objects of the bucket into the warehouse: those named by the queue, found by a listing, or replayed after a failure.

A batch is one transaction with its rows and the outcome of each object; dead letters are written before it. Queue messages are
deleted only afterwards. If the loader is killed in between, the next run repeats the batch, which changes nothing.
"""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import islice

from service.answers_kept.archive import Archive
from service.answers_kept.record import time_partition, utc_text
from service.core.redaction.texts import TextRedactor
from service.kit.aws.bounded import patiently
from service.kit.aws.event_queue import Announced, EventQueue, QueueMessage
from service.kit.delivery.dead_letters import DeadLetter, DeadLetters
from service.kit.frame.errors import StoreError
from service.kit.records.tombstones import Tombstones, nobody_erased
from service.loading.batch import Dead, prepare
from service.loading.merging import LoadTally, join_verdicts, merge_batch, oldest_moment
from service.loading.objects import (
    MAX_OBJECT_BYTES,
    BadObject,
    DeadReason,
    Fetched,
    hourly_prefixes,
    is_erased,
    kind_of,
)
from service.loading.queries import known_versions
from service.warehouse.port import Warehouse

BATCH_OBJECTS = 500  # an SQS batch is 10 messages, which is too few for one warehouse transaction
SCAN_OBJECTS = 2_000
FETCH_THREADS = 16
# Longer than any batch takes. After this time SQS delivers a message again if its loader died.
VISIBLE_AFTER_S = 300
_PATIENCE_S = 10.0
# A spool that was stopped may later write into hours that were already scanned: scans overlap by this much.
OVERLAP = timedelta(hours=48)
_FOLLOW_SCAN_EVERY_S = 3600.0
DEAD_PREFIX = "omni-channel/dead/"

Opened = Callable[[], Warehouse]
Report = Callable[[LoadTally], None]


def _now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Loader:
    """Loads batches. It opens the warehouse for each batch and closes it afterwards, so that readers get their turn."""

    archive: Archive
    open_warehouse: Opened
    redactor: TextRedactor
    queue: EventQueue | None = None
    tombstones: Tombstones = field(default_factory=nobody_erased)
    now: Callable[[], datetime] = _now
    clock: Callable[[], float] = time.monotonic
    report: Report = field(default=lambda tally: None)
    visible_after_s: int = VISIBLE_AFTER_S

    def prepare_warehouse(self) -> int:
        """Migrate the warehouse and copy verdicts that a killed loader left; return how many were copied."""
        with closing(self.open_warehouse()) as warehouse:
            warehouse.migrate()
            return join_verdicts(warehouse)

    def drain(self, *, wait_s: int = 1) -> LoadTally:
        """Load objects that the queue names until it is empty; ``wait_s`` is how long to wait for a first message."""
        total = LoadTally()
        while messages := self._collect(wait_s):
            total.add(self._load_messages(messages))
        return total

    def follow(self) -> Iterator[LoadTally]:
        """Load from the queue for ever, and scan every hour for objects that the queue missed. Yields a tally per batch."""
        next_scan = self.clock()
        while True:
            if self.clock() >= next_scan:
                yield self.scan()
                next_scan = self.clock() + _FOLLOW_SCAN_EVERY_S
            if messages := self._collect(20):
                yield self._load_messages(messages)

    def scan(self, since: datetime | None = None, *, everything: bool = False) -> LoadTally:
        """List the bucket from the hour of ``since`` on, and load every object without a row in ``omni_loads``.

        Without ``since``, the scan of a prefix starts two days before its newest handled object, or at its beginning if there
        is none. ``everything`` starts at the beginning.
        """
        total = LoadTally()
        for prefix in hourly_prefixes(self.archive):
            start = None if everything else since or self._watermark(prefix)
            pages = self.archive.listed(prefix, after="" if start is None else time_partition(prefix, utc_text(start)))
            objects = (Announced(key=item.key, etag=item.etag) for page in pages for item in page)
            while batch := list(islice(objects, SCAN_OBJECTS)):
                total.add(self.load(batch, tell_known=False))
        return total

    def _watermark(self, prefix: str) -> datetime | None:
        with closing(self.open_warehouse()) as warehouse:
            # Keys under one prefix sort by hour. A key dated in the future must not move the start past the present.
            now, start = self.now(), f"{prefix}year="
            rows = warehouse.query(
                "SELECT MAX(object_key) AS newest FROM omni_loads "  # noqa: S608 - a number
                # A task's name may hold `_`, which LIKE takes for any character.
                f"WHERE SUBSTRING(object_key, 1, {len(start)}) = :start AND object_key < :latest",
                {"start": start, "latest": time_partition(prefix, utc_text(now + OVERLAP))},
            )
        newest = rows["newest"].iloc[0]
        hour = hour_of(newest) if isinstance(newest, str) else None
        return None if hour is None else min(hour, now) - OVERLAP

    def replay(self, reason: DeadReason | None = None) -> LoadTally:
        """Load dead objects again, all or those with one reason; delete the dead letters of those that load."""
        total = LoadTally()
        letters = letters_of(self.archive).waiting(reason)
        while batch := list(islice(letters, BATCH_OBJECTS)):
            total.add(self._load(self._fetch([Announced(key=letter.name) for letter in batch]), lift=batch))
        return total

    def load(self, objects: Sequence[Announced], *, tell_known: bool = True) -> LoadTally:
        """Load a batch of objects, skipping versions that were handled before.

        ``tell_known`` counts skipped objects in the tally.
        """
        known = self._known(objects)
        fresh = [one for one in objects if (one.key, one.etag) not in known]
        mine = [one for one in fresh if kind_of(one.key) != "unknown"]
        tally = self._load(self._fetch(mine)) if mine else LoadTally()
        if tell_known:
            tally.known, tally.foreign = len(objects) - len(fresh), len(fresh) - len(mine)
        self.report(tally)
        return tally

    def _load(self, fetched: Iterable[Fetched], *, lift: Sequence[DeadLetter] = ()) -> LoadTally:
        now = self.now()
        batch = prepare(fetched, now, self.redactor, is_erased=partial(is_erased, self.tombstones))
        erased = [one.key for one in batch.dead if one.reason is DeadReason.ERASED]
        self.archive.erase(erased)
        # Without a row of its load: if the object comes once more, it is read and refused again.
        batch = replace(batch, dead=tuple(one for one in batch.dead if one.key not in erased))
        letters = letters_of(self.archive)
        with closing(self.open_warehouse()) as warehouse:
            tally = merge_batch(warehouse, batch, now, bury=lambda dead: bury(letters, dead, now))
            if erased:
                tally.dead[DeadReason.ERASED] += len(erased)
            since = oldest_moment(batch)
            tally.verdicts = 0 if since is None else join_verdicts(warehouse, since)
        failed: dict[str, str | None] = {one.key: one.reason.value for one in batch.dead}
        letters.replayed(lift, failed | {one.key: None for one in batch.good})
        return tally

    def _collect(self, wait_s: int) -> list[QueueMessage]:
        if self.queue is None:
            raise StoreError("no queue to read: set OMNI_AWS_ENDPOINT, or run `omni up`")
        found: list[QueueMessage] = []
        objects = 0
        while objects < BATCH_OBJECTS:
            # Only the first receive waits; the others take the messages that are already there.
            receive = partial(self.queue.receive, wait_s=0 if found else wait_s, visible_after_s=self.visible_after_s)
            messages = patiently(receive, timeout_s=_PATIENCE_S)
            if not messages:
                break
            found += messages
            objects += sum(len(message.objects) for message in messages)
        return found

    def _load_messages(self, messages: Sequence[QueueMessage]) -> LoadTally:
        assert self.queue is not None
        objects = list(dict.fromkeys(one for message in messages for one in message.objects))
        tally = self.load(objects) if objects else LoadTally()
        tally.foreign += sum(not message.understood for message in messages)
        self.queue.delete([message.receipt for message in messages])
        return tally

    def _fetch(self, objects: Sequence[Announced]) -> Iterator[Fetched]:
        with ThreadPoolExecutor(FETCH_THREADS, thread_name_prefix="fetch") as threads:
            yield from threads.map(self._fetch_one, objects)

    def _fetch_one(self, one: Announced) -> Fetched:
        stored = patiently(partial(self.archive.read, one.key, most_bytes=MAX_OBJECT_BYTES), timeout_s=_PATIENCE_S)
        if stored is None:
            problem = BadObject(
                DeadReason.GONE, "the queue named it, but it is not in the bucket: it was deleted since"
            )
            return Fetched(key=one.key, etag=one.etag, problem=problem)
        if stored.body is None:
            problem = BadObject(DeadReason.TOO_LARGE, f"{stored.size} bytes; at most {MAX_OBJECT_BYTES} are allowed")
            return Fetched(key=one.key, etag=stored.etag, problem=problem)
        return Fetched(key=one.key, etag=stored.etag, body=stored.body)

    def _known(self, objects: Sequence[Announced]) -> set[tuple[str, str]]:
        with closing(self.open_warehouse()) as warehouse:
            return known_versions(warehouse, [one.key for one in objects])


def letters_of(archive: Archive) -> DeadLetters:
    """Return the dead letters of one bucket, which hold no customer text; the objects themselves stay in place."""
    return DeadLetters(
        prefix=DEAD_PREFIX,
        suffix=".dead.json",
        write=archive.put_json,
        keys=lambda prefix: (item.key for page in archive.listed(prefix) for item in page),
        delete=archive.delete,
    )


def bury(letters: DeadLetters, dead: Sequence[Dead], now: datetime) -> None:
    """Write a letter for each object that has none for this reason. Safe to repeat."""
    for one in dead:
        about = {"object_key": one.key, "etag": one.etag, "kind": one.kind}
        letters.bury(one.key, one.reason.value, one.detail, now, about)


def hour_of(key: str) -> datetime | None:
    """Return the hour in an object's key; None for a key of another form."""
    parts = dict(part.split("=", 1) for part in key.split("/") if "=" in part)
    try:
        return datetime(int(parts["year"]), int(parts["month"]), int(parts["day"]), int(parts["hour"]), tzinfo=UTC)
    except (KeyError, ValueError):
        return None
