"""Reads dashboards from the warehouse; one thread, a short cache and a time limit protect serving from many operators."""

import asyncio
import threading
import time
from collections.abc import Callable, Hashable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from datetime import date, timedelta
from functools import partial
from typing import Any, TypeVar, cast

from cachetools import TTLCache

from service.dashboards.definitions import ALL_PAIRS, DEFAULT_TASK, Dashboard
from service.dashboards.errors import (
    AskedInvalid,
    DashboardsBusy,
    ExtraMissing,
    RangeInvalid,
    TaskUnknown,
    WarehouseUnreadable,
)
from service.dashboards.figures import FigureRow, rows_of
from service.kit.frame.errors import ServiceError
from service.kit.settings import Settings
from service.kit.telemetry.log import Event, log
from service.warehouse.port import Warehouse

DEFAULT_DAYS = 28  # four whole weeks, so that each weekday counts equally often
LONGEST_DAYS = 731
_CACHE_S = 30.0
_LOCKED_WAIT_S = 2.0
_TIMEOUT_S = 20.0
_MOST_WAITING = 8
_KEPT = 64
_TASKS = "SELECT task, COUNT(*) AS answers FROM omni_summaries GROUP BY task ORDER BY answers DESC, task"
_COVERAGE = """
SELECT MIN((generation_timestamp AT TIME ZONE 'UTC')::DATE) AS oldest,
  MAX((generation_timestamp AT TIME ZONE 'UTC')::DATE) AS newest,
  MAX(generation_timestamp AT TIME ZONE 'UTC') AS newest_at, COUNT(*) AS answers FROM omni_summaries
WHERE task = :task"""
_T = TypeVar("_T")
_PAIRS = "SELECT pair, COUNT(*) AS answers FROM omni_summaries WHERE task = :task GROUP BY pair ORDER BY pair"


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """An operator's request: None means all pairs, for a day a default that depends on the data, for a task the busiest."""

    from_day: date | None = None
    to_day: date | None = None
    pair: str | None = None
    task: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Coverage:
    """The range of the task's answers; the days are None if there are no answers. ``tasks``: all, most answers first."""

    oldest: date | None
    newest: date | None
    newest_at: str | None
    answers: int
    pairs: tuple[str, ...]
    tasks: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class DashboardData:
    """A task's dashboard with its figures; ``read_at`` is the reader's clock, in seconds, ``task`` None without any answers."""

    dashboard: Dashboard
    task: str | None
    from_day: date | None
    to_day: date | None
    pair: str | None
    coverage: Coverage
    rows: Mapping[str, Sequence[FigureRow]]
    read_at: float


class DashboardReader:
    """Opens the warehouse for each dashboard and closes it again, so that an open page never blocks a loader.

    The queries of all operators run one after the other in a single thread; equal requests within 30 s share one query.
    """

    def __init__(
        self,
        open_warehouse: Callable[[], Warehouse],
        *,
        clock: Callable[[], float] = time.monotonic,
        cache_s: float = _CACHE_S,
        timeout_s: float = _TIMEOUT_S,
    ) -> None:
        self._open = open_warehouse
        self._clock = clock
        self._timeout_s = timeout_s
        self._lock = threading.Lock()
        self._cache: TTLCache[Hashable, object] = TTLCache(_KEPT, cache_s, timer=clock)
        self._running: dict[Hashable, Future[object]] = {}
        self._pool: ThreadPoolExecutor | None = None

    async def read(self, dashboard: Dashboard, asked: Asked) -> DashboardData:
        """Return the dashboard's figures, at most 30 s old; errors as in ``check_range`` and ``ask``.

        Raises:
            TaskUnknown: the warehouse holds answers, and none of this task.
        """
        check_range(asked.from_day, asked.to_day)

        def data(warehouse: Warehouse) -> DashboardData:
            return _data(warehouse, dashboard, asked, read_at=self._clock())

        return await self.ask((dashboard.name, asked), data)

    async def ask(self, key: Hashable, work: Callable[[Warehouse], _T]) -> _T:
        """Return what ``work`` reads from the warehouse, at most 30 s old; requests with an equal ``key`` share one run of it.

        Raises:
            AskedInvalid: ``work`` raises it.
            WarehouseUnreadable: the warehouse is missing, locked or cannot answer; the message says what to do.
            DashboardsBusy: too many requests wait, or this one took too long.
        """
        try:
            answer = await asyncio.wait_for(
                asyncio.shield(asyncio.wrap_future(self._future(key, work))), self._timeout_s
            )
        except TimeoutError as err:
            raise DashboardsBusy(
                f"the warehouse gave no answer within {self._timeout_s:g} s: choose a shorter range, or try again later"
            ) from err
        return cast(_T, answer)

    def now(self) -> float:
        """Return the reader's clock, in seconds."""
        return self._clock()

    def age_s(self, read_at: float) -> float:
        """Return how old figures are that were read at ``read_at`` of this reader's clock, in seconds."""
        return max(self._clock() - read_at, 0.0)

    def close(self) -> None:
        """Release the thread without waiting for a running query; queued queries are cancelled."""
        if self._pool is not None:
            self._pool.shutdown(wait=False, cancel_futures=True)

    def _future(self, key: Hashable, work: Callable[[Warehouse], object]) -> "Future[object]":
        with self._lock:
            known = self._cache.get(key)
            if known is not None:
                done: Future[object] = Future()
                done.set_result(known)
                return done
            if key in self._running:
                return self._running[key]
            if len(self._running) >= _MOST_WAITING:
                raise DashboardsBusy(
                    f"{_MOST_WAITING} questions already wait for the warehouse: try again in a few seconds"
                )
            if self._pool is None:
                self._pool = ThreadPoolExecutor(1, thread_name_prefix="dashboards")
            self._running[key] = future = self._pool.submit(self._answer, key, work)
            return future

    def _answer(self, key: Hashable, work: Callable[[Warehouse], object]) -> object:
        try:
            data = self._query(work)
            with self._lock:
                self._cache[key] = data
            return data
        finally:
            with self._lock:
                self._running.pop(key, None)

    def _query(self, work: Callable[[Warehouse], object]) -> object:
        try:
            with closing(self._open()) as warehouse:
                return work(warehouse)
        except AskedInvalid:
            raise
        except ImportError as err:
            raise ExtraMissing(
                "the warehouse extra is not installed here: install omni-insights[warehouse] where dashboards are served"
            ) from err
        except ServiceError as err:  # its message says what to do; its HTTP status is replaced by WarehouseUnreadable's
            log(Event.WAREHOUSE_UNREADABLE, error=type(err).__name__)
            raise WarehouseUnreadable(str(err)) from err
        except Exception as err:  # an error of the engine may quote a row: report only its type, and not as a 500
            log(Event.WAREHOUSE_UNREADABLE, error=type(err).__name__)
            raise WarehouseUnreadable(
                f"the warehouse could not be read ({type(err).__name__}): run `omni load-events`, which creates missing "
                "tables and views"
            ) from err


def _data(warehouse: Warehouse, dashboard: Dashboard, asked: Asked, *, read_at: float) -> DashboardData:
    tasks = tuple(str(record["task"]) for record in records(warehouse, _TASKS, {}))
    task = _task(asked, tasks)
    dashboard = dashboard.of(task, several=len(tasks) > 1)
    coverage = _coverage(warehouse, task, tasks)
    from_day, to_day = range_of(asked.from_day, asked.to_day, newest=coverage.newest, days=DEFAULT_DAYS)
    rows: dict[str, Sequence[FigureRow]] = {visual.name: () for visual in dashboard.visuals}
    if from_day is not None and to_day is not None:
        parameters = {
            "task": task,
            "from_day": from_day.isoformat(),
            "to_day": to_day.isoformat(),
            "pair": asked.pair or ALL_PAIRS,
        }
        for visual in dashboard.visuals:
            given = {name: parameters[name] for name in visual.parameters}
            rows[visual.name] = rows_of(visual, records(warehouse, visual.sql, given))
    return DashboardData(
        dashboard=dashboard,
        task=task if tasks else None,
        from_day=from_day,
        to_day=to_day,
        pair=asked.pair,
        coverage=coverage,
        rows=rows,
        read_at=read_at,
    )


def check_range(from_day: date | None, to_day: date | None) -> None:
    """Check the days that somebody asked for.

    Raises:
        RangeInvalid: they are in the wrong order or too far apart.
    """
    if from_day is None or to_day is None:
        return
    if from_day > to_day:
        raise RangeInvalid("the range ends before it begins: `from` must not be after `to`")
    if (to_day - from_day).days >= LONGEST_DAYS:
        raise RangeInvalid(f"the range is longer than {LONGEST_DAYS} days: choose a shorter one")


def range_of(
    from_day: date | None, to_day: date | None, *, newest: date | None, days: int
) -> tuple[date | None, date | None]:
    """Return the days to read, by default ``days`` up to the newest answer, at most ``LONGEST_DAYS`` days."""
    to_day = to_day or newest
    if to_day is None:
        return from_day, None
    if from_day is None:
        from_day = _before(to_day, days - 1)
    return max(from_day, _before(to_day, LONGEST_DAYS - 1)), to_day


def _before(day: date, days: int) -> date:
    return day - timedelta(days=min(days, (day - date.min).days))


def _task(asked: Asked, tasks: Sequence[str]) -> str:
    if asked.task is not None and tasks and asked.task not in tasks:
        raise TaskUnknown(
            f"the warehouse holds no answers of task {asked.task!r}; it holds those of {', '.join(tasks)}"
        )
    return asked.task or (tasks[0] if tasks else DEFAULT_TASK)


def _coverage(warehouse: Warehouse, task: str, tasks: tuple[str, ...]) -> Coverage:
    found = records(warehouse, _COVERAGE, {"task": task})[0]
    answers = int(found["answers"])
    return Coverage(
        oldest=day_of(found["oldest"]) if answers else None,
        newest=day_of(found["newest"]) if answers else None,
        newest_at=found["newest_at"].isoformat()[:16] if answers else None,
        answers=answers,
        pairs=tuple(str(record["pair"]) for record in records(warehouse, _PAIRS, {"task": task})),
        tasks=tasks,
    )


def day_of(value: Any) -> date:
    """Return the day of a date or timestamp of a frame."""
    return date.fromisoformat(value.isoformat()[:10])


def records(warehouse: Warehouse, sql: str, parameters: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return a query's rows by the names of their columns."""
    return [
        {str(name): value for name, value in record.items()}
        for record in warehouse.query(sql, parameters).to_dict("records")
    ]


def build_dashboards(settings: Settings) -> DashboardReader:
    """Return a reader of the warehouse that the settings name, without opening it."""
    return DashboardReader(partial(read_warehouse, settings))


def read_warehouse(settings: Settings) -> Warehouse:
    """Open the warehouse for reading with one thread and a short wait for a locked file, so that serving is not slowed."""
    from service.warehouse import open_warehouse  # imported here, because a service that only serves may lack the extra

    return open_warehouse(
        settings.model_copy(update={"warehouse_threads": 1, "warehouse_wait_s": _LOCKED_WAIT_S}), read_only=True
    )
