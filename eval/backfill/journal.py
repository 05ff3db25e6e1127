"""What a backfill has on disk: finished chunks, and a journal of the items that began, ended or were lost since.

An item's line is in the journal before its call is made, and its row as soon as it is here. So after the death of any process
nothing that finished is asked again, and what was in flight counts at the most that it can have cost.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import IO, Any

from eval.backfill.budget import cost_of_row
from eval.backfill.work import ItemRow, WorkItem
from service.kit.frame.files import write_whole
from service.kit.frame.strict import lines_of

_JOURNAL = "journal.jsonl"
_LONGEST_JOURNAL = 20_000  # lines; then those of finished chunks are dropped


def chunk_path(folder: Path, number: int) -> Path:
    """Return the path of a chunk's rows; the file exists only if the chunk is done."""
    return folder / f"chunk-{number:06d}.jsonl"


def rows_of(folder: Path) -> list[str]:
    """Return the lines of all finished chunks, in the order of their items."""
    return [line for path in sorted(folder.glob("chunk-*.jsonl")) for line in lines_of(path.read_text("utf-8"))]


@dataclass(slots=True)
class BackfillJournal:
    """The items of one backfill and their state on disk. ``spent_usd`` includes ``lost_usd``, the bound of lost calls."""

    folder: Path
    items: Sequence[WorkItem]  # in the order of their ids
    chunk_size: int
    done: int = 0
    failed: int = 0
    lost: int = 0
    spent_usd: Decimal = Decimal(0)
    lost_usd: Decimal = Decimal(0)
    reserved_usd: Decimal = Decimal(0)
    _chunk_of: dict[str, int] = field(default_factory=dict)
    _rows: dict[int, dict[str, ItemRow]] = field(default_factory=dict)  # of chunks that are not finished
    _begun: dict[str, Decimal] = field(default_factory=dict)
    _finished: set[int] = field(default_factory=set)
    _lines: int = 0
    _file: IO[str] | None = None

    @classmethod
    def open(cls, folder: Path, items: Sequence[WorkItem], chunk_size: int) -> "BackfillJournal":
        """Read what earlier runs left. Calls that they had in flight count as lost."""
        book = cls(folder=folder, items=items, chunk_size=chunk_size)
        book._chunk_of = {item.id: at // chunk_size for at, item in enumerate(items)}
        for number in range(-(-len(items) // chunk_size)):
            path = chunk_path(folder, number)
            if path.exists():
                book._finished.add(number)
                for line in lines_of(path.read_text(encoding="utf-8")):
                    book._count(json.loads(line))
        book._read()
        for known in list(book._begun):
            book._lose(known)
        for number in list(book._rows):
            book._finish(number)
        book._compact()
        return book

    def left(self) -> list[WorkItem]:
        """Return the items that have no row, in order."""
        return [
            item
            for at, item in enumerate(self.items)
            if (number := at // self.chunk_size) not in self._finished and item.id not in self._rows.get(number, {})
        ]

    def begin(self, item: WorkItem, most_usd: Decimal) -> None:
        """Note that ``item`` is about to be asked and may cost ``most_usd``."""
        self._write({"begun": item.id, "most_usd": format(most_usd, "f")})
        self._begun[item.id] = most_usd
        self.reserved_usd += most_usd

    def end(self, row: ItemRow) -> None:
        """Keep the row of an item that began; the last row of a chunk finishes it."""
        self._write({"row": row})
        self._keep(row)
        number = self._chunk_of[row["id"]]
        self._finish(number)
        if self._lines > _LONGEST_JOURNAL:
            self._compact()

    def lose(self, item_id: str) -> None:
        """Note that the call of an item was lost with its process: it may have been paid, and the item begins anew."""
        self._write({"lost": item_id})
        self._lose(item_id)

    def close(self) -> None:
        """Close the journal's file."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _read(self) -> None:
        path = self.folder / _JOURNAL
        if not path.exists():
            return
        for line in lines_of(path.read_text(encoding="utf-8", errors="replace")):
            try:
                entry: Mapping[str, Any] = json.loads(line)
            except ValueError:
                continue  # the line that a kill cut off
            if "row" in entry:
                if self._chunk_of[entry["row"]["id"]] in self._finished:
                    self._release(entry["row"]["id"])
                else:
                    self._keep(entry["row"])
            elif "begun" in entry:
                self._begun[entry["begun"]] = Decimal(entry["most_usd"])
                self.reserved_usd += Decimal(entry["most_usd"])
            elif "lost" in entry:
                self._lose(entry["lost"])
            else:
                self._charge(entry["lost_calls"], Decimal(entry["lost_usd"]))

    def _lose(self, item_id: str) -> None:
        self._charge(1, self._release(item_id))

    def _charge(self, calls: int, usd: Decimal) -> None:
        self.lost += calls
        self.lost_usd += usd
        self.spent_usd += usd

    def _release(self, item_id: str) -> Decimal:
        most_usd = self._begun.pop(item_id, Decimal(0))
        self.reserved_usd -= most_usd
        return most_usd

    def _keep(self, row: ItemRow) -> None:
        self._release(row["id"])
        self._rows.setdefault(self._chunk_of[row["id"]], {})[row["id"]] = row
        self._count(row)

    def _count(self, row: Mapping[str, Any]) -> None:
        self.done += 1
        self.failed += bool(row.get("failure"))
        self.spent_usd += cost_of_row(row)

    def _finish(self, number: int) -> None:
        members = self.items[number * self.chunk_size : (number + 1) * self.chunk_size]
        rows = self._rows[number]
        if len(rows) < len(members):
            return
        lines = [json.dumps(rows[item.id], ensure_ascii=False) for item in members]
        write_whole(chunk_path(self.folder, number), "".join(f"{line}\n" for line in lines))
        self._finished.add(number)
        del self._rows[number]

    def _compact(self) -> None:
        """Rewrite the journal without the rows of finished chunks."""
        entries: list[dict[str, Any]] = [{"lost_calls": self.lost, "lost_usd": format(self.lost_usd, "f")}]
        entries += [{"row": row} for rows in self._rows.values() for row in rows.values()]
        entries += [{"begun": known, "most_usd": format(most, "f")} for known, most in self._begun.items()]
        self.close()
        write_whole(self.folder / _JOURNAL, "".join(f"{json.dumps(entry, ensure_ascii=False)}\n" for entry in entries))
        self._lines = len(entries)

    def _write(self, entry: Mapping[str, Any]) -> None:
        if self._file is None:
            self._file = (self.folder / _JOURNAL).open("a", encoding="utf-8", buffering=1)  # a line is kept at once
        self._file.write(f"{json.dumps(entry, ensure_ascii=False)}\n")
        self._lines += 1
