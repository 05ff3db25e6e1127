"""Answers items on the workers of a Dask cluster; needs the extra ``cluster``.

The client begins every call, one task per item, and keeps no more in flight than the workers have threads: so budget, rate and
journal are the client's alone, and a worker that dies holds nothing but calls in flight, which the client asks again.
"""

import hashlib
import logging
import queue
import time
import uuid
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import distributed

import service
from eval.backfill.work import Answerer, ItemRow, Work, WorkItem
from eval.spine.errors import BackfillError
from service.kit.telemetry.log import configure_logging

_SILENT = logging.CRITICAL + 1
_CONNECT_S = 30.0
_LOOK_EVERY_S = 2.0  # how often the client asks the scheduler for its workers


class _Models(distributed.WorkerPlugin):  # type: ignore[misc]  # distributed has no types
    """Holds a worker process's models, from its first item until its end."""

    def __init__(self, work: Work) -> None:
        self.work = work
        self.name = f"omni-backfill-{uuid.uuid4().hex}"  # two runs may share a cluster
        self.answerer: Answerer

    def setup(self, worker: Any) -> None:
        configure_logging("WARNING")
        self.answerer = Answerer(self.work)

    def teardown(self, worker: Any) -> None:
        self.answerer.close()


def _answer(models: str, item: WorkItem) -> ItemRow:
    """Answer one item with the plugin called ``models``; runs in a thread of a worker."""
    plugin: _Models = distributed.get_worker().plugins[models]
    return plugin.answerer.submit(item).result()


def installed_code() -> str:
    """Return a digest of the service's and the harness's source as this process would run it."""
    digest = hashlib.sha256()
    root = Path(service.__file__).resolve().parent.parent
    for folder in ("eval", "figures", "service"):
        for path in sorted((root / folder).rglob("*.py")):
            digest.update(path.relative_to(root).as_posix().encode())
            digest.update(path.read_bytes())
    return digest.hexdigest()


@dataclass(slots=True, kw_only=True)
class DaskLane:
    """An open connection to a cluster. Every task is bound to one worker, so that Dask runs none again by itself."""

    client: Any
    models: str
    _executor: Any = field(init=False)
    _flying: dict["Future[ItemRow]", str] = field(default_factory=dict)  # the worker of each item in flight
    _removed: "queue.SimpleQueue[str]" = field(default_factory=queue.SimpleQueue)
    _threads: dict[str, int] = field(default_factory=dict)
    _looked: float = -_LOOK_EVERY_S

    def __post_init__(self) -> None:
        self._executor = self.client.get_executor(pure=False)
        self.client.subscribe_topic("all", self._on_event)

    @property
    def slots(self) -> int:
        """The workers' threads."""
        return sum(self._look().values())

    @property
    def workers(self) -> int:
        """The workers that the scheduler knows."""
        return len(self._look())

    def submit(self, item: WorkItem) -> "Future[ItemRow]":
        """See ``Lane.submit``."""
        busy = Counter(self._flying.values())
        freest = max(self._threads, key=lambda worker: self._threads[worker] - busy[worker])
        future: Future[ItemRow] = self._executor.submit(
            _answer, self.models, item, key=f"backfill-{uuid.uuid4().hex}", workers=[freest], allow_other_workers=False
        )
        self._flying[future] = freest
        return future

    def landed(self, future: "Future[ItemRow]") -> None:
        """See ``Lane.landed``."""
        self._flying.pop(future, None)

    def lost(self) -> "list[Future[ItemRow]]":
        """See ``Lane.lost``."""
        found = []
        while not self._removed.empty():
            gone = self._removed.get()
            self._looked = -_LOOK_EVERY_S
            found += [future for future, worker in self._flying.items() if worker == gone and not future.done()]
        for future in found:
            del self._flying[future]
            future.cancel()
        return found

    def _look(self) -> dict[str, int]:
        if time.monotonic() - self._looked > _LOOK_EVERY_S:
            try:
                self._threads = dict(self.client.nthreads())
            except (OSError, ValueError) as err:  # ValueError: the client has closed itself
                raise BackfillError(_gone(err)) from None
            self._looked = time.monotonic()
        return self._threads

    def _on_event(self, event: tuple[float, Any]) -> None:
        what = event[1]
        if isinstance(what, dict) and what.get("action") == "remove-worker":
            self._removed.put(what["worker"])


@dataclass(frozen=True, slots=True, kw_only=True)
class DaskEngine:
    """Answers on the cluster at ``address``, or on ``workers`` processes here, each ``concurrency`` items at a time.

    A cluster's own workers take as many items as they have threads (``dask worker --nthreads``).
    """

    address: str | None
    workers: int
    concurrency: int

    @contextmanager
    def open(self, work: Work) -> Iterator[DaskLane]:
        """See ``BackfillEngine.open``.

        Raises:
            BackfillError: the cluster cannot be reached, has no worker, or a worker runs other code.
        """
        _quieten()
        with ExitStack() as stack:
            client = stack.enter_context(self._client(stack))
            try:
                client.wait_for_workers(max(self.workers, 1), timeout=_CONNECT_S)
            except TimeoutError:
                raise BackfillError(
                    f"the cluster at {self.address} has no worker: start `dask worker {self.address} --nthreads 8`"
                ) from None
            _check_code(client)
            models = _Models(work)
            client.register_plugin(models)
            if self.address is not None:  # its workers live on, without our models
                stack.callback(client.unregister_worker_plugin, models.name)
            yield DaskLane(client=client, models=models.name)

    def _client(self, stack: ExitStack) -> Any:
        if self.address is None:
            here = distributed.LocalCluster(
                n_workers=self.workers,
                threads_per_worker=self.concurrency,
                processes=True,
                dashboard_address=None,
                memory_limit=None,
                silence_logs=_SILENT,
            )
            return distributed.Client(stack.enter_context(here))
        try:
            return distributed.Client(self.address, timeout=_CONNECT_S)
        except OSError as err:
            raise BackfillError(
                f"no Dask scheduler answers at {self.address} ({type(err).__name__}); start `dask scheduler`"
            ) from None


def _quieten() -> None:
    # Dask's own account of workers that come and go; the progress says it in a word.
    logging.getLogger("distributed").setLevel(_SILENT)
    for name in list(logging.root.manager.loggerDict):
        if name.startswith("distributed."):
            logging.getLogger(name).setLevel(_SILENT)


def _check_code(client: Any) -> None:
    ours = installed_code()
    try:
        others = [address for address, digest in client.run(installed_code).items() if digest != ours]
    except (ImportError, AttributeError):
        others = ["a worker"]
    if others:
        raise BackfillError(
            f"{others[0]} runs other code than this process: install the same version of omni-insights on every worker"
        )


def _gone(err: Exception) -> str:
    return (
        f"the cluster's scheduler is gone ({type(err).__name__}); finished items are kept: run the same command again"
    )
