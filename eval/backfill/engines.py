"""The engines that answer items: this process, or the workers of a Dask cluster."""

import re
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Protocol

from eval.backfill.work import Answerer, ItemRow, Work, WorkItem
from eval.spine.errors import BackfillError

_LOCAL = re.compile(r"local:(\d{1,3})")
_REMOTE = re.compile(r"(?:tcp|tls|ws|wss)://[^\s/]+:\d{1,5}")


class Lane(Protocol):
    """An open engine. An item that it has begun ends as a future, and is then ``landed``, or ``lost`` with its worker."""

    @property
    def slots(self) -> int:
        """How many items it answers at a time; 0 while it has no worker."""
        ...

    @property
    def workers(self) -> int:
        """How many processes answer."""
        ...

    def submit(self, item: WorkItem) -> "Future[ItemRow]":
        """Begin to answer ``item``."""
        ...

    def landed(self, future: "Future[ItemRow]") -> None:
        """Free the slot of an item that has ended."""
        ...

    def lost(self) -> "list[Future[ItemRow]]":
        """Return the items, since the last call, whose worker ended before they did; their slots are free."""
        ...


class BackfillEngine(Protocol):
    """Opens lanes."""

    def open(self, work: Work) -> AbstractContextManager[Lane]:
        """Return a context that holds a ready lane and ends its work on leaving."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessLane:
    """Answers in this process."""

    answerer: Answerer
    slots: int
    workers: int = 1

    def submit(self, item: WorkItem) -> "Future[ItemRow]":
        """See ``Lane.submit``."""
        return self.answerer.submit(item)

    def landed(self, future: "Future[ItemRow]") -> None:
        """See ``Lane.landed``: the caller counts."""

    def lost(self) -> "list[Future[ItemRow]]":
        """See ``Lane.lost``: this process cannot outlive a lost one."""
        return []


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessEngine:
    """Answers in this process, ``concurrency`` items at a time."""

    concurrency: int

    @contextmanager
    def open(self, work: Work) -> Iterator[Lane]:
        """See ``BackfillEngine.open``."""
        answerer = Answerer(work)
        try:
            yield ProcessLane(answerer=answerer, slots=self.concurrency)
        finally:
            answerer.close()


def engine_of(cluster: str | None, concurrency: int) -> BackfillEngine:
    """Return the engine for ``cluster``: None, ``local:N`` for N workers on this machine, or a scheduler's address.

    Raises:
        BackfillError: the address is none, or the extra ``cluster`` is not installed.
    """
    if cluster is None:
        return ProcessEngine(concurrency=concurrency)
    local = _LOCAL.fullmatch(cluster)
    if (local is None or int(local[1]) == 0) and not _REMOTE.fullmatch(cluster):
        raise BackfillError(
            f"--cluster {cluster!r} is neither local:N, such as local:2, nor a Dask scheduler's address, such as tcp://host:8786"
        )
    try:
        from eval.backfill.cluster import DaskEngine
    except ImportError as err:
        if err.name not in ("dask", "distributed"):
            raise
        raise BackfillError(
            'a cluster needs an extra: pip install "omni-insights[cluster]"; without --cluster this process works alone'
        ) from None
    return DaskEngine(
        address=None if local else cluster, workers=int(local[1]) if local else 0, concurrency=concurrency
    )
