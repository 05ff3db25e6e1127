"""The ledger of a search: each answer and each proposal with its cost, on disk as soon as it is paid for.

A search that was interrupted runs again from its start and finds here what it paid for. What it finds counts as spent when it is
used, in the order of use, so that the search decides as it did before and ends with an equal result.
"""

import json
import os
from collections.abc import Iterable, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

from service.kit.frame.strict import lines_of


class SearchLedger:
    """Rows as lines of one file, appended whole; a line that a crash cut off is ignored, and its call is made again.

    A key is ``<kind>:<what>``. ``spent_usd`` and ``calls`` count what this search has used so far, and ``dearest_usd`` has the
    dearest row of each kind used so far. ``lost`` counts the calls that were begun before an interruption and never ended: they
    may have been billed, and are made again. ``paid_before_usd`` is what was paid before this process at most: all rows that were
    there at the start, and each lost call at the price of the dearest.
    """

    def __init__(self, path: Path) -> None:
        """Read what is there; the file is opened for appending and readable by its owner alone."""
        self._rows: dict[str, dict[str, Any]] = {}
        begun: set[str] = set()
        if path.exists():
            for line in lines_of(path.read_text(encoding="utf-8", errors="replace")):
                row = _row(line)
                if "key" in row:
                    self._rows[row["key"]] = row
                begun.update(row.get("begun", ()))
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        os.write(self._file, b"\n")  # closes a line that a crash may have left open
        self._used: set[str] = set()
        self.spent_usd, self.calls = Decimal(0), 0
        self.dearest_usd: dict[str, Decimal] = {}
        self.lost = len(begun - self._rows.keys())
        costs = [Decimal(row["cost_usd"]) for row in self._rows.values()]
        self.paid_before_usd = sum(costs, Decimal(0)) + self.lost * max(costs, default=Decimal(0))

    def close(self) -> None:
        """Close the file."""
        os.close(self._file)

    def has(self, key: str) -> bool:
        """Return whether there is such a row, used or not."""
        return key in self._rows

    def used(self, key: str) -> bool:
        """Return whether this search has used the row."""
        return key in self._used

    def get(self, key: str) -> Mapping[str, Any] | None:
        """Return what a row holds, and count its cost at the first use; None if there is no such row."""
        row = self._rows.get(key)
        if row is None:
            return None
        if key not in self._used:
            self._used.add(key)
            cost = Decimal(row["cost_usd"])
            self.spent_usd += cost
            kind = key.partition(":")[0]
            self.dearest_usd[kind] = max(self.dearest_usd.get(kind, Decimal(0)), cost)
            self.calls += 1
        found: Mapping[str, Any] = row["value"]
        return found

    def begin(self, keys: Iterable[str]) -> None:
        """Note that calls are about to be made."""
        self._append({"begun": list(keys)})

    def put(self, key: str, cost_usd: Decimal, value: Mapping[str, Any]) -> None:
        """Keep a row; it counts when ``get`` reads it."""
        row = {"key": key, "cost_usd": str(cost_usd), "value": dict(value)}
        self._append(row)
        self._rows[key] = row

    def _append(self, row: Mapping[str, Any]) -> None:
        os.write(self._file, json.dumps(row, ensure_ascii=False).encode("utf-8", errors="replace") + b"\n")


def _row(line: str) -> dict[str, Any]:
    try:
        row = json.loads(line)
    except ValueError:
        return {}
    return row if isinstance(row, dict) else {}
