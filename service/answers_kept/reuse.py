"""Reuses summaries: a transferred contact gets the recent summary, and identical simultaneous requests share one answer."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, fields
from datetime import datetime, timedelta

from cachetools import TTLCache

from service.answers_kept.record import Reusable
from service.core.run.task import TaskResult
from service.core.unit.channel import RecordedChannel
from service.core.unit.interaction import Interaction
from service.kit.frame.canonical import canonical_json, sha256_hex
from service.kit.frame.errors import ServiceError, StoreError
from service.kit.telemetry.log import Event, log

FindRecent = Callable[[str, datetime], Awaitable[Sequence[Reusable]]]
_CAPACITY = 20_000
# How much longer than for the history a request waits for the table's recent summaries. Both reads start together and take about
# the same time; a slow table must not cost more than reuse saves.
_GRACE_S = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class ReuseScope:
    """The fields that two requests must share before their interactions are compared.

    ``reason`` is the current contact's reason if the pair's prompt contains it, else empty.
    """

    account_number: str
    initial_contact_id: str
    max_history_days: int
    max_interactions: int
    channel_filter: tuple[RecordedChannel, ...] | None
    pair_digest: str
    reason: str = ""

    def digest(self) -> str:
        """Return the SHA-256 of the scope, independent of the order of channels."""
        channels = None if self.channel_filter is None else sorted(set(self.channel_filter))
        shared = {name: getattr(self, name) for name in _SCOPE_FIELDS}
        return sha256_hex(canonical_json(shared | {"channel_filter": channels}))


_SCOPE_FIELDS = tuple(item.name for item in fields(ReuseScope))


@dataclass(slots=True)
class ReuseCounts:
    """Counts since the start. ``transfers``: requests whose initial contact already got a summary within the window."""

    requests: int = 0
    memory_hits: int = 0
    table_hits: int = 0
    shared: int = 0
    misses: int = 0
    transfers: int = 0
    transfer_hits: int = 0
    lookup_failures: int = 0


@dataclass(slots=True)
class ReuseLookup:
    """A running lookup: it begins before the history is read, so that a miss costs no extra round trip."""

    scope: ReuseScope
    digest: str  # the scope's
    began: datetime
    recent: "asyncio.Task[Sequence[Reusable]] | None"
    is_transfer: bool

    def key(self, interactions: Sequence[Interaction]) -> str:
        """Return the reuse key: scope and every field of every interaction, in order."""
        return sha256_hex(self.digest + "".join(f"\n{item.model_dump_json()}" for item in interactions))


@dataclass(frozen=True, slots=True, kw_only=True)
class ReuseOutcome:
    """A result; ``reused_from`` is the request that it was written for, None when it was written for this one."""

    result: TaskResult
    reuse_key: str | None
    reused_from: str | None


@dataclass(frozen=True, slots=True)
class _Shared:
    """Shared with identical requests by the one that asks: an answer, an error, or neither when it was cancelled."""

    answer: ReuseOutcome | None = None
    error: ServiceError | None = None


@dataclass(slots=True)
class _Memory:
    summaries: "TTLCache[str, Reusable]"
    contacts: "TTLCache[tuple[str, str], bool]"
    flights: "dict[str, asyncio.Future[_Shared]]" = field(default_factory=dict)


class Reuse:
    """Finds reusable summaries and shares running answers. Use it on one event loop; ``window_s`` 0 turns both off."""

    def __init__(
        self,
        *,
        window_s: float,
        recent: FindRecent | None,
        now: Callable[[], datetime],
        clock: Callable[[], float],
        grace_s: float = _GRACE_S,
    ) -> None:
        """``recent`` reads an account's summaries from the table; with None only this process's memory is used."""
        self._window = timedelta(seconds=window_s)
        self._recent = recent
        self._now = now
        self._grace_s = grace_s
        self._memory = _Memory(
            summaries=TTLCache(_CAPACITY, ttl=max(window_s, 0.001), timer=clock),
            contacts=TTLCache(_CAPACITY, ttl=max(window_s, 0.001), timer=clock),
        )
        self.counts = ReuseCounts()

    def begin(self, scope: ReuseScope) -> ReuseLookup:
        """Begin a lookup, before the history is read; end it with ``once`` or ``drop``."""
        began, digest = self._now(), scope.digest()
        known = digest in self._memory.summaries
        task = None
        if self._window and self._recent is not None and not known:
            task = asyncio.ensure_future(self._recent(scope.account_number, began - self._window))
        contact = (scope.account_number, scope.initial_contact_id)
        return ReuseLookup(
            scope=scope, digest=digest, began=began, recent=task, is_transfer=contact in self._memory.contacts
        )

    @staticmethod
    def drop(lookup: ReuseLookup) -> None:
        """End a lookup that is not needed, such as that of a request that failed."""
        if lookup.recent is not None:
            lookup.recent.cancel()

    async def once(
        self,
        lookup: ReuseLookup,
        interactions: Sequence[Interaction],
        ask: Callable[[], Awaitable[TaskResult]],
        *,
        request_id: str,
        patience_s: float,
    ) -> ReuseOutcome:
        """Return a summary of the last ``window_s``, the answer of an identical running request, or the result of ``ask``.

        Args:
            lookup: as returned by ``begin``.
            interactions: the summary's input; without interactions nothing is reused.
            ask: runs the task.
            request_id: names the summary if ``ask`` writes it.
            patience_s: how long to wait for an identical request before calling ``ask``.

        Raises:
            ServiceError: raised by ``ask``, also for the requests that waited for it.
        """
        if not self._window or not interactions:
            self.drop(lookup)
            return ReuseOutcome(result=await ask(), reuse_key=None, reused_from=None)
        key = lookup.key(interactions)
        self.counts.requests += 1
        self.counts.transfers += lookup.is_transfer
        while (flight := self._memory.flights.get(key)) is not None:
            shared = await self._wait_for(flight, patience_s)
            if shared is None:
                break
            if shared.error is not None:
                raise shared.error
            if shared.answer is not None:
                self.drop(lookup)
                self.counts.shared += 1
                self.counts.transfer_hits += lookup.is_transfer
                return _reused(shared.answer)
        return await self._lead(lookup, key, ask, request_id)

    @staticmethod
    async def _wait_for(flight: "asyncio.Future[_Shared]", patience_s: float) -> _Shared | None:
        with suppress(TimeoutError):
            return await asyncio.wait_for(asyncio.shield(flight), patience_s)
        return None

    async def _lead(
        self, lookup: ReuseLookup, key: str, ask: Callable[[], Awaitable[TaskResult]], request_id: str
    ) -> ReuseOutcome:
        flight: asyncio.Future[_Shared] = asyncio.get_running_loop().create_future()
        leads = self._memory.flights.setdefault(key, flight) is flight
        shared = _Shared()
        try:
            found = await self._stored(lookup, key)
            if found is not None:
                self.counts.transfer_hits += lookup.is_transfer
                answered = ReuseOutcome(result=_result_of(found), reuse_key=None, reused_from=found.summary_id)
            else:
                self.counts.misses += 1
                result = await ask()
                reusable = result.output is not None and result.arm in ("primary", "backup")
                answered = ReuseOutcome(result=result, reuse_key=key if reusable else None, reused_from=None)
                found = self._to_keep(key, result, request_id) if reusable else None
            if found is not None:
                self._memory.summaries[lookup.digest] = found
                self._memory.contacts[lookup.scope.account_number, lookup.scope.initial_contact_id] = True
            shared = _Shared(
                answer=ReuseOutcome(
                    result=answered.result, reuse_key=None, reused_from=answered.reused_from or request_id
                )
            )
            return answered
        except ServiceError as err:
            shared = _Shared(error=err)
            raise
        finally:
            if leads:
                del self._memory.flights[key]
            flight.set_result(shared)

    async def _stored(self, lookup: ReuseLookup, key: str) -> Reusable | None:
        mine = self._memory.summaries.get(lookup.digest)
        if mine is not None:
            self.drop(lookup)
            # The cache's lifetime starts when the entry is added here, the window when the summary was written.
            hit = mine.reuse_key == key and mine.answered_at > lookup.began - self._window
            self.counts.memory_hits += hit
            return mine if hit else None
        if lookup.recent is None:
            return None
        try:
            recent = await asyncio.wait_for(lookup.recent, self._grace_s)
        except (TimeoutError, StoreError) as err:
            self.counts.lookup_failures += 1
            log(Event.REUSE_LOOKUP_FAILURE, error=type(err).__name__)
            return None
        found = next((item for item in recent if item.reuse_key == key), None)
        self.counts.table_hits += found is not None
        return found

    def _to_keep(self, key: str, result: TaskResult, request_id: str) -> Reusable:
        assert result.output is not None
        return Reusable(
            reuse_key=key,
            summary_id=request_id,
            summary=result.output,
            model=result.model,
            answered_by=result.answered_by,
            arm=result.arm,
            answered_at=self._now(),
        )


def _result_of(found: Reusable) -> TaskResult:
    return TaskResult(
        output=found.summary, arm=found.arm, model=found.model, answered_by=found.answered_by, latency_ms=0.0
    )


def _reused(answered: ReuseOutcome) -> ReuseOutcome:
    result = answered.result
    # Usage and cost are recorded with the request that caused them.
    free = TaskResult(
        output=result.output, arm=result.arm, model=result.model, answered_by=result.answered_by, latency_ms=0.0
    )
    return ReuseOutcome(result=free, reuse_key=None, reused_from=answered.reused_from)
