"""Everything that a request needs from outside, in groups, and how it starts and ends."""

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime

from service.access.control import Access
from service.access.shared_limits import SharedLimits
from service.answers_kept.store import Summaries
from service.calls.build import CallDesks
from service.core.llm.reliability import Reliability
from service.dashboards.reader import DashboardReader
from service.kit.frame.clock import wall_clock
from service.kit.frame.ids import new_id
from service.kit.records.shared_state import SharedState
from service.kit.records.shared_watch import SharedWatch
from service.kit.settings import Settings
from service.kit.telemetry.log import Event, log
from service.kit.telemetry.loop_lag import Crowding
from service.runtime.answering import AnsweringParts
from service.runtime.conversing import Conversing

_LOOK_AGAIN_S = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class Shared:
    """What all processes of a deployment share: the table, None without one, and who is told when it changes."""

    state: SharedState | None = None
    watch: SharedWatch = field(default_factory=lambda: SharedWatch(None))


@dataclass(frozen=True, slots=True, kw_only=True)
class Runtime:
    """Everything that a request needs from outside.

    ``now`` is the wall clock (aware UTC), ``clock`` is monotonic in seconds, ``ids`` returns 12 random hexadecimal digits.
    ``access`` None turns access control off: only tests and the harness's own server on loopback are built so.
    """

    settings: Settings
    answering: AnsweringParts
    summaries: Summaries = field(default_factory=Summaries)
    conversing: Conversing = field(default_factory=Conversing)
    calls: CallDesks = field(default_factory=CallDesks)
    dashboards: DashboardReader | None = None
    shared: Shared = field(default_factory=Shared)
    access: Access | None = None
    now: Callable[[], datetime] = field(default_factory=wall_clock)
    clock: Callable[[], float] = time.monotonic
    ids: Callable[[], str] = new_id
    disconnect: Callable[[], Awaitable[None]] | None = None
    reliability: Reliability = field(init=False)  # its clock is the runtime's own
    crowding: Crowding = field(init=False)
    limits: SharedLimits = field(init=False)
    # Set when the server stops: what streams for as long as a customer waits then ends, and they ask another process.
    leaving: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        object.__setattr__(self, "reliability", Reliability(self.clock))
        object.__setattr__(
            self, "crowding", Crowding(from_s=self.settings.serving.crowded_from_s, clock=time.monotonic)
        )
        throttle = None if self.access is None else self.access.throttle
        object.__setattr__(self, "limits", SharedLimits(self.shared.state, throttle, self.reliability))

    def open(self) -> None:
        """Start each task's pair source and, in the background, the gateway's warm-up; readiness does not wait for it."""
        self.summaries.open()
        self.crowding.start()
        if self.conversing.watch is not None:
            self.conversing.watch.start()
        # The registry client imports MLflow, and two imports at once slow each other down. With a last known good pair the
        # first requests need litellm only, so the registry is asked after the warm-up, about two seconds after the start.
        registry_later = self.answering.warm_up is not None and self._can_serve()
        if not registry_later:
            self._start_pair_sources()
        if self.answering.warm_up is not None:
            # Until litellm is imported, which takes seconds, requests wait for this process: no delay is a model's fault yet.
            self.reliability.breakers.armed = False
            warming = threading.Thread(
                target=self._warm_up, args=(registry_later,), name="gateway-warm-up", daemon=True
            )
            warming.start()
        log(Event.SERVICE_STARTED, environment=self.settings.environment, tasks=" ".join(sorted(self.answering.tasks)))

    async def until_known(self, patience_s: float) -> None:
        """Wait at most ``patience_s`` seconds until each required task has a pair, or a reason why it has none."""
        until = time.monotonic() + patience_s
        # The pair sources refresh in threads and know no event loop.
        while time.monotonic() < until and not self._is_known():  # noqa: ASYNC110
            await asyncio.sleep(_LOOK_AGAIN_S)

    def _is_known(self) -> bool:
        sources = self.answering.pair_sources
        found = [sources[name].status() for name in self.settings.serving.required_tasks if name in sources]
        return all(status.served is not None or status.last_error is not None for status in found)

    async def close(self) -> None:
        """Stop the pair sources' threads, write the pending records and close the stores."""
        await self.conversing.turns.aclose()
        for source in self.answering.pair_sources.values():
            source.stop()
        self.crowding.stop()
        if self.conversing.watch is not None:
            self.conversing.watch.stop()
        if self.conversing.audit is not None:
            self.conversing.audit.close()
        self.summaries.close()
        for rollout in self.answering.rollouts.values():
            rollout.stop()
        self.shared.watch.stop()
        self.limits.stop()
        if self.dashboards is not None:
            self.dashboards.close()
        for tools in self.answering.tools.values():
            await tools.aclose()
        if self.disconnect is not None:
            await self.disconnect()
        log(Event.SERVICE_STOPPED)

    def _can_serve(self) -> bool:
        sources = self.answering.pair_sources
        return all(name in sources and sources[name].status().served for name in self.settings.serving.required_tasks)

    def _start_pair_sources(self) -> None:
        self.answering.start()
        self.shared.watch.start()
        self.limits.start()

    def _warm_up(self, then_start_sources: bool) -> None:
        assert self.answering.warm_up is not None
        try:
            self.answering.warm_up()
        except Exception as err:  # the first model call meets the same error and reports it to its caller
            log(Event.WARM_UP_FAILED, error=type(err).__name__)
        finally:
            self.reliability.breakers.armed = True
            if then_start_sources:
                self._start_pair_sources()
