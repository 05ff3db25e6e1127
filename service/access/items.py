"""Where clients and token keys are kept: in the table that all tasks share, or in a folder where there is no AWS at all."""

import fcntl
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from service.kit.frame.files import OWNER_ONLY, write_whole
from service.kit.records.shared_state import SharedState, SharedStateChanged

PARTITION = "access"  # of the shared table; a change of it reaches every task within seconds
CLIENT, KEY, SUSPENDED = "client/", "key/", "suspended/"  # what the names of items begin with
_LINKS = "links"
_SUFFIX = ".json"


class AccessItems(Protocol):
    """Small JSON texts by name. Blocking; every method raises ``StoreError`` when the table does not answer."""

    def read(self) -> Mapping[str, str]:
        """Return all items."""
        ...

    def change(self, name: str, decide: Callable[[str | None], str | None]) -> str | None:
        """Replace an item by what ``decide`` makes of it (None: leave it), and return what is there now.

        ``decide`` gets None for a missing item, and may be called again.
        """
        ...

    def remove(self, name: str) -> None:
        """Delete an item if it exists."""
        ...


class SharedItems:
    """The items of the shared table."""

    def __init__(self, state: SharedState) -> None:
        self._state = state

    def read(self) -> Mapping[str, str]:
        """See ``AccessItems.read``."""
        return {item.key: item.text for item in self._state.items(PARTITION) if item.text is not None}

    def change(self, name: str, decide: Callable[[str | None], str | None]) -> str | None:
        """See ``AccessItems.change``."""
        return self._state.change(PARTITION, name, decide)

    def remove(self, name: str) -> None:
        """See ``AccessItems.remove``."""
        self._state.delete(PARTITION, name)


def first_use(state: SharedState, now: Callable[[], float]) -> Callable[[str, float], bool]:
    """Return a function that says whether no task has used an id before; it is remembered for the given seconds.

    The function blocks, and raises ``StoreError`` when the table does not answer.
    """

    def is_first_use(name: str, for_s: float) -> bool:
        try:
            state.put(_LINKS, name, "used", expected=0, expires_at=now() + for_s)
        except SharedStateChanged:
            return False
        return True

    return is_first_use


class FolderItems:
    """One file per item, for its owner only. For `local` without a local AWS, where one machine has all processes."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def read(self) -> Mapping[str, str]:
        """See ``AccessItems.read``."""
        files = sorted(self._folder.glob(f"*/*{_SUFFIX}"))
        return {
            f"{file.parent.name}/{file.name.removesuffix(_SUFFIX)}": file.read_text(encoding="utf-8") for file in files
        }

    def change(self, name: str, decide: Callable[[str | None], str | None]) -> str | None:
        """See ``AccessItems.change``."""
        file = self._file(name)
        with self._lock():
            present = file.read_text(encoding="utf-8") if file.exists() else None
            wanted = decide(present)
            if wanted is None or wanted == present:
                return present
            file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            write_whole(file, wanted, mode=OWNER_ONLY, durable=True)
            return wanted

    def remove(self, name: str) -> None:
        """See ``AccessItems.remove``."""
        with self._lock():
            self._file(name).unlink(missing_ok=True)

    def _file(self, name: str) -> Path:
        return self._folder / f"{name}{_SUFFIX}"

    @contextmanager
    def _lock(self) -> Iterator[None]:
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        with (self._folder / ".lock").open("w", encoding="utf-8") as handle:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield
