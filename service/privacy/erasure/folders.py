"""Searches JSON files of a folder on this machine: one record a file, or one a line."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from service.kit.frame.files import OWNER_ONLY, write_whole
from service.kit.frame.strict import lines_of
from service.privacy.erasure.identity import CustomerIds
from service.privacy.erasure.places import Place
from service.privacy.erasure.store import FoundRecord

_LINES = ".jsonl"


class SearchedFolder:
    """See ``SearchedPlace``."""

    def __init__(self, folder: Path, place: Place) -> None:
        self.name, self.place = f"folder {folder}", place
        self._folder = folder
        self.is_there = True  # a folder that nobody has made is an empty one

    def find(self, ids: CustomerIds) -> Iterator[FoundRecord]:
        """See ``SearchedPlace.find``. A record of a file with many is found by the file's path and its own text."""
        for path in sorted(self._folder.rglob("*.json*")) if self._folder.is_dir() else ():
            for text in _texts(path):
                record = _record(text)
                if isinstance(record, dict) and ids.owns(self.place, record):
                    yield FoundRecord(at=str(path), content=record)

    def delete(self, found: Sequence[FoundRecord]) -> None:
        """See ``SearchedPlace.delete``; other records of a file stay as they are."""
        for name in {one.at for one in found}:
            path = Path(name)
            if path.suffix != _LINES:
                path.unlink(missing_ok=True)
                continue
            gone = [one.content for one in found if one.at == name]
            kept = [text for text in _texts(path) if _record(text) not in gone]
            write_whole(name, "".join(f"{text}\n" for text in kept).encode(), mode=OWNER_ONLY)


def _texts(path: Path) -> list[str]:
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:  # written to its store meanwhile
        return []
    return [line for line in lines_of(text) if line.strip()] if path.suffix == _LINES else [text]


def _record(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return None
