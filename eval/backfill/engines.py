"""The engines that run chunks: this process, or Dask on this machine's cores or the cluster at ``DASK_SCHEDULER_ADDRESS``."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any, Literal, Protocol

from eval.backfill.work import ChunkDone, Work, WorkItem, work_chunk
from eval.errors import BackfillError

BackfillEngineName = Literal["asyncio", "dask"]
WorkChunk = tuple[int, Sequence[WorkItem]]


class BackfillEngine(Protocol):
    """Runs chunks; each is on disk when it is yielded. Closing the iterator stops the work after the chunks in progress."""

    def run(self, work: Work, chunks: Sequence[WorkChunk]) -> Iterator[ChunkDone]:
        """Yield the chunks as they finish."""
        ...


class AsyncioEngine:
    """Runs one chunk after the other in this process, with the items of a chunk in parallel."""

    def run(self, work: Work, chunks: Sequence[WorkChunk]) -> Iterator[ChunkDone]:
        """See ``Engine.run``."""
        for number, items in chunks:
            yield work_chunk(work, number, items)


class DaskEngine:
    """Runs ``workers`` chunks at a time, each in its own process; they share the rate equally."""

    def __init__(self, workers: int) -> None:
        """Raises BackfillError when Dask is not installed."""
        try:
            import dask
        except ImportError:
            raise BackfillError(
                'the engine dask needs the package dask: pip install "omni-insights[cluster]", or use --engine asyncio'
            ) from None
        self._dask: Any = dask
        self._workers = workers

    def run(self, work: Work, chunks: Sequence[WorkChunk]) -> Iterator[ChunkDone]:
        """See ``Engine.run``."""
        rate = None if work.per_second is None else work.per_second / self._workers
        shared = replace(work, per_second=rate)
        one = self._dask.delayed(work_chunk, pure=False)
        address = os.environ.get("DASK_SCHEDULER_ADDRESS")
        with self._client(address):
            # In rounds of one chunk per worker, so that no further round starts once the budget is spent.
            for at in range(0, len(chunks), self._workers):
                some = chunks[at : at + self._workers]
                tasks = [one(shared, number, items) for number, items in some]
                options = {} if address else {"scheduler": "processes", "num_workers": self._workers}
                yield from self._dask.compute(*tasks, **options)

    def _client(self, address: str | None) -> Any:
        if address is None:
            from contextlib import nullcontext

            return nullcontext()
        try:
            from dask.distributed import Client
        except ImportError:
            raise BackfillError(
                "DASK_SCHEDULER_ADDRESS is set; a cluster also needs the package distributed: install it or unset the variable"
            ) from None
        return Client(address)


def engine_of(name: BackfillEngineName, workers: int) -> BackfillEngine:
    """Return the engine called ``name``.

    Raises:
        BackfillError: the engine's package is not installed.
    """
    return AsyncioEngine() if name == "asyncio" else DaskEngine(workers)
