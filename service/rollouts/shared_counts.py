"""Adds up a rollout's counts over all tasks: each process adds its own to one item per minute, and reads everyone's.

What the table has not taken yet waits in a file, where other processes of the same disk see it and may send it. Each batch has
a number for its minute, and the table refuses a number that it has had: nothing is counted twice.
"""

import json
import re
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from decimal import Decimal
from pathlib import Path
from typing import Any

from service.kit.frame.errors import StoreError
from service.kit.frame.files import write_whole
from service.kit.records.shared_state import SharedItem, SharedState
from service.rollouts.live_counts import LiveCounts, RolloutSide

_MINUTE_S = 60
# Only the last hour counts, so that many good hours do not hide a fault that begins late.
WINDOW_MINUTES = 60
_KEPT_S = 2 * 3600  # an item outlives its window, also where a clock is slow
# Other processes may add to a closed minute after an outage: all minutes are read again after this time.
_READ_ALL_EVERY_S = 60.0
# A living process rewrites its file every few seconds while it has something to send.
_ABANDONED_S = 120.0
_MOST_COUNTS = 140  # of one batch
_BIN = re.compile(r"ms[0-9]{1,3}")  # 1.05 to the power of 999 ms is longer than anything takes
_FIELDS = frozenset(LiveCounts.__slots__) - {"latencies"}
_LETTER: Mapping[RolloutSide, str] = {"candidate": "c", "production": "p"}

Amounts = dict[str, Decimal]
Sides = dict[RolloutSide, LiveCounts]


@dataclass(frozen=True, slots=True)
class _Batch:
    """Counts of one minute that may have reached the table: they are never changed, only sent again."""

    minute: int
    number: int
    amounts: Amounts


@dataclass(slots=True)
class _Unsent:
    """What one process has counted and the table has not confirmed; ``last`` is the last number used for each minute."""

    writer: str
    batches: list[_Batch] = field(default_factory=list)
    open: dict[int, Amounts] = field(default_factory=dict)
    last: dict[int, int] = field(default_factory=dict)

    def close(self) -> None:
        """Turn the open counts into batches."""
        for minute, amounts in sorted(self.open.items()):
            names = list(amounts)
            for start in range(0, len(names), _MOST_COUNTS):
                number = self.last[minute] = self.last.get(minute, 0) + 1
                part = {name: amounts[name] for name in names[start : start + _MOST_COUNTS]}
                self.batches.append(_Batch(minute, number, part))
        self.open = {}

    def beside(self, minute: int, item: SharedItem | None) -> Iterator[Amounts]:
        """Yield this process's counts of a minute that are not in the table's ``item`` yet."""
        taken = 0 if item is None else item.batches.get(self.writer, 0)
        yield from (batch.amounts for batch in self.batches if batch.minute == minute and batch.number > taken)
        if minute in self.open and self.last.get(minute, 0) + 1 > taken:
            yield self.open[minute]

    def forget(self, oldest: int) -> None:
        """Drop the minutes up to ``oldest``."""
        self.batches = [batch for batch in self.batches if batch.minute > oldest]
        self.open = {minute: amounts for minute, amounts in self.open.items() if minute > oldest}
        self.last = {minute: number for minute, number in self.last.items() if minute > oldest}

    def to_json(self) -> str:
        """Return the content of the file."""
        return json.dumps(
            {
                "writer": self.writer,
                "batches": [[batch.minute, batch.number, _texts(batch.amounts)] for batch in self.batches],
                "open": [[minute, _texts(amounts)] for minute, amounts in self.open.items()],
                "last": list(self.last.items()),
            }
        )

    @classmethod
    def from_json(cls, text: str) -> "_Unsent":
        """Rebuild it from ``to_json``.

        Raises:
            ValueError, KeyError, TypeError, AttributeError, ArithmeticError: the text has another form.
        """
        raw = json.loads(text)
        return cls(
            writer=str(raw["writer"]),
            batches=[_Batch(int(minute), int(number), _amounts(found)) for minute, number, found in raw["batches"]],
            open={int(minute): _amounts(found) for minute, found in raw["open"]},
            last={int(minute): int(number) for minute, number in raw["last"]},
        )


class SharedCounts:
    """The counts of one task's rollout step in one process; ``wall`` is seconds since 1970.

    ``count`` and ``sides`` may be called from any thread, the other methods from one. With ``shared`` None the processes of one
    folder add up, and what they count stays in their files.
    """

    def __init__(
        self, partition: str, folder: Path, shared: SharedState | None, *, writer: str, wall: Callable[[], float]
    ) -> None:
        self._partition, self._folder, self._shared = partition, folder, shared
        self._writer, self._wall = writer, wall
        self._sequence = 0
        self._lock = threading.Lock()
        self._counted: dict[int, Sides] = {}
        self._own: dict[int, Sides] = {}
        self._unsent = _Unsent(writer)
        self._table: dict[int, SharedItem] = {}
        self._all_read_at = float("-inf")
        self._written = False
        self._sides: Sides = {"candidate": LiveCounts(), "production": LiveCounts()}
        self.error: str | None = None  # why the table did not answer last time

    def begin(self, sequence: int) -> None:
        """Count for step ``sequence``; a new step starts with its own counts."""
        if sequence == self._sequence:
            return
        with self._lock:
            self._sequence = sequence
            self._counted, self._own, self._unsent = {}, {}, _Unsent(self._writer)
            self._table, self._all_read_at, self._written = {}, float("-inf"), False
            self._sides = {"candidate": LiveCounts(), "production": LiveCounts()}
        for old in self._folder.glob("counts-*.json"):
            if not old.name.startswith(f"counts-{sequence}-"):
                old.unlink(missing_ok=True)

    def count(self, side: RolloutSide, add: Callable[[LiveCounts], None]) -> None:
        """Let ``add`` change this process's counts of the present minute."""
        minute = int(self._wall() // _MINUTE_S)
        with self._lock:
            if minute not in self._counted:
                self._counted[minute] = {"candidate": LiveCounts(), "production": LiveCounts()}
            add(self._counted[minute][side])

    def share(self) -> None:
        """Send what is new to the table and read what all have sent; what it does not take waits in a file.

        Raises:
            OSError: the file could not be written; the counts stay in memory.
        """
        oldest = self._oldest()
        self._collect()
        self._unsent.forget(oldest)
        if self._shared is not None:
            try:
                self._send(self._unsent, self._shared)
                self._unsent.close()
                self._send(self._unsent, self._shared)
                self._read(self._shared, oldest)
                self._adopt(self._shared, oldest)
                self.error = None
            except StoreError as err:
                self.error = str(err)
        self._sides = self._summed(oldest)
        self._write()

    def sides(self) -> Sides:
        """Return both sides' counts of the last hour, of all processes as far as the last ``share`` knew them."""
        return self._sides

    def own_sides(self) -> Sides:
        """Return both sides' counts of the last hour of this process alone, which nobody who can write the table can change."""
        found: Sides = {"candidate": LiveCounts(), "production": LiveCounts()}
        for sides in self._own.values():
            for side, counts in sides.items():
                found[side].merge(counts)
        return found

    def _summed(self, oldest: int) -> Sides:
        everyone = [self._unsent, *(unsent for _, unsent in self._files())]
        found: Sides = {"candidate": LiveCounts(), "production": LiveCounts()}
        minutes = set(self._table).union(*({batch.minute for batch in one.batches} | set(one.open) for one in everyone))
        for minute in minutes:
            if minute <= oldest:
                continue
            item = self._table.get(minute)
            parts = [] if item is None else [item.counts]
            for one in everyone:
                parts += one.beside(minute, item)
            for part in parts:
                for side, letter in _LETTER.items():
                    found[side].merge(_counts(part, letter))
        return found

    def _oldest(self) -> int:
        return int(self._wall() // _MINUTE_S) - WINDOW_MINUTES

    def _collect(self) -> None:
        with self._lock:
            counted, self._counted = self._counted, {}
            for minute, sides in counted.items():
                amounts = self._unsent.open.setdefault(minute, {})
                own = self._own.setdefault(minute, {"candidate": LiveCounts(), "production": LiveCounts()})
                for side, counts in sides.items():
                    own[side].merge(counts)
                    for name, amount in _flat(counts, _LETTER[side]):
                        amounts[name] = amounts.get(name, Decimal(0)) + amount
            oldest = self._oldest()
            self._own = {minute: sides for minute, sides in self._own.items() if minute > oldest}

    def _send(self, unsent: _Unsent, shared: SharedState) -> None:
        while unsent.batches:
            batch = unsent.batches[0]
            shared.add(
                self._partition,
                self._key(batch.minute),
                batch.amounts,
                writer=unsent.writer,
                batch=batch.number,
                expires_at=batch.minute * _MINUTE_S + _KEPT_S,
            )
            self._note(unsent.writer, batch)
            unsent.batches.pop(0)

    def _note(self, writer: str, batch: _Batch) -> None:
        """Add a batch that the table holds to this process's picture of it, in case the next read fails."""
        before = self._table.get(batch.minute) or SharedItem(key=self._key(batch.minute), text=None, version=0)
        if before.batches.get(writer, 0) >= batch.number:
            return
        counts = dict(before.counts)
        for name, amount in batch.amounts.items():
            counts[name] = counts.get(name, Decimal(0)) + amount
        self._table[batch.minute] = replace(before, counts=counts, batches={**before.batches, writer: batch.number})

    def _read(self, shared: SharedState, oldest: int) -> None:
        now = self._wall()
        whole = not 0 <= now - self._all_read_at < _READ_ALL_EVERY_S
        since = oldest + 1 if whole else int(now // _MINUTE_S) - 1
        items = shared.items(self._partition, first=self._key(since), last=f"{self._prefix()}~")
        self._table = {minute: item for minute, item in self._table.items() if minute > oldest}
        minutes = ((item.key.rpartition("/")[2], item) for item in items)
        self._table |= {int(minute): item for minute, item in minutes if minute.isdecimal()}
        if whole:
            self._all_read_at = now

    def _adopt(self, shared: SharedState, oldest: int) -> None:
        """Send what a process of this disk left behind when it ended during an outage."""
        for path, unsent in self._files():
            with suppress(FileNotFoundError):
                if time.time() - path.stat().st_mtime > _ABANDONED_S:
                    unsent.forget(oldest)
                    unsent.close()
                    self._send(unsent, shared)
                    path.unlink()

    def _files(self) -> Iterator[tuple[Path, _Unsent]]:
        for path in self._folder.glob(f"counts-{self._sequence}-*.json"):
            if path == self._file():
                continue
            # An unreadable file of a process is missing data, and missing data never stops a rollout.
            with suppress(OSError, ValueError, KeyError, TypeError, AttributeError, ArithmeticError):
                yield path, _Unsent.from_json(path.read_text(encoding="utf-8"))

    def _write(self) -> None:
        if self._unsent.batches or self._unsent.open:
            self._folder.mkdir(parents=True, exist_ok=True)
            write_whole(self._file(), self._unsent.to_json())
            self._written = True
        elif self._written:
            self._file().unlink(missing_ok=True)
            self._written = False

    def _file(self) -> Path:
        return self._folder / f"counts-{self._sequence}-{self._writer}.json"

    def _prefix(self) -> str:
        return f"counts/{self._sequence:06d}/"

    def _key(self, minute: int) -> str:
        return f"{self._prefix()}{minute:010d}"


def _flat(counts: LiveCounts, letter: str) -> Iterator[tuple[str, Decimal]]:
    """Yield the counts that are not zero; a latency bin is named after its step, as in ``c.ms120``."""
    for name, value in counts.to_json().items():
        if isinstance(value, dict):
            yield from ((f"{letter}.ms{step}", Decimal(count)) for step, count in value.items())
        elif value:
            # DynamoDB keeps 38 digits of a sum: money to a billionth of a dollar, its square accordingly.
            yield (
                f"{letter}.{name}",
                Decimal(f"{value:.{18 if name == 'cost_squared' else 9}f}").normalize()
                if isinstance(value, float)
                else Decimal(value),
            )


def _counts(amounts: Mapping[str, Decimal], letter: str) -> LiveCounts:
    fields: dict[str, Any] = {"latencies": {}}
    for name, amount in amounts.items():
        side, _, field_name = name.partition(".")
        if side != letter:
            continue
        if _BIN.fullmatch(field_name):
            fields["latencies"][int(field_name.removeprefix("ms"))] = int(amount)
        elif field_name in _FIELDS:  # another version of the service may count more
            fields[field_name] = float(amount) if field_name.startswith("cost") else int(amount)
    return LiveCounts(**fields)


def _texts(amounts: Amounts) -> dict[str, str]:
    return {name: str(amount) for name, amount in amounts.items()}


def _amounts(texts: Mapping[str, str]) -> Amounts:
    return {name: Decimal(amount) for name, amount in texts.items()}
