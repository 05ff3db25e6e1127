"""Reuse: what must be equal, for how long, and what twins and failing lookups get."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from structlog.testing import capture_logs

from service.answers_kept.record import Reusable
from service.answers_kept.reuse import Reuse, ReuseOutcome, ReuseScope
from service.core.llm.pricing import Usage
from service.core.run.task import TaskResult
from service.core.unit.interaction import Interaction
from service.kit.frame.errors import FailureCode, ServiceError, StoreError

START = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
SCOPE = ReuseScope(
    account_number="1234567890",
    initial_contact_id="i-1",
    max_history_days=90,
    max_interactions=10,
    channel_filter=("ivr", "agent"),
    pair_digest="d" * 64,
)


def _interaction(**changes: Any) -> Interaction:
    fields = {"interaction_id": "a", "channel": "chat", "timestamp": START, "intent": "billing", "text": "Bill?"}
    return Interaction.model_validate(fields | changes)


HISTORY = (_interaction(),)


@dataclass
class World:
    """A clock in seconds since START, a table, and a model that counts its calls."""

    seconds: float = 0.0
    table: list[Reusable] = field(default_factory=list)
    table_error: Exception | None = None
    lookups: int = 0
    calls: int = 0
    result: TaskResult | None = None
    error: BaseException | None = None
    gate: asyncio.Event | None = None
    window_s: float = 300.0

    def __post_init__(self) -> None:
        self.reuse = Reuse(
            window_s=self.window_s, recent=self._recent, now=self._now, clock=lambda: self.seconds, grace_s=0.05
        )

    def _now(self) -> datetime:
        return START + timedelta(seconds=self.seconds)

    async def _recent(self, account: str, since: datetime) -> Sequence[Reusable]:
        self.lookups += 1
        if self.table_error is not None:
            raise self.table_error
        return [item for item in self.table if item.answered_at >= since]

    async def _ask(self) -> TaskResult:
        self.calls += 1
        call = self.calls
        if self.gate is not None:
            await self.gate.wait()
        if self.error is not None:
            raise self.error
        return self.result or TaskResult(
            output=f"Summary {call}.",
            arm="primary",
            model="m",
            answered_by="m",
            latency_ms=900.0,
            usage=Usage(input_tokens=3000),
        )

    async def request(
        self, name: str, scope: ReuseScope = SCOPE, history: Sequence[Interaction] = HISTORY, patience_s: float = 5.0
    ) -> ReuseOutcome:
        look = self.reuse.begin(scope)
        await asyncio.sleep(0)  # the history is read
        return await self.reuse.once(look, history, self._ask, request_id=name, patience_s=patience_s)


@pytest.mark.acceptance("promise-09")
async def test_a_transfer_gets_the_same_summary_without_a_call_and_free() -> None:
    world = World()
    first = await world.request("r1")
    second = await world.request("r2")
    assert (first.reused_from, second.reused_from) == (None, "r1")
    assert first.reuse_key is not None
    assert second.reuse_key is None
    assert second.result.output == "Summary 1."
    assert second.result.usage == Usage()
    assert second.result.cost is not None
    assert second.result.cost.metered_usd == Decimal(0)
    # The second request knows from memory that the table need not be asked.
    assert (world.calls, world.lookups) == (1, 1)
    counts = world.reuse.counts
    assert (counts.requests, counts.misses, counts.memory_hits, counts.transfers, counts.transfer_hits) == (
        2,
        1,
        1,
        1,
        1,
    )


@pytest.mark.parametrize(
    "change",
    [
        {"account_number": "9999999999"},
        {"initial_contact_id": "i-2"},
        {"max_history_days": 30},
        {"max_interactions": 5},
        {"channel_filter": None},
        {"channel_filter": ("ivr",)},
        {"pair_digest": "e" * 64},
        {"reason": "outage"},
    ],
)
@pytest.mark.acceptance("answer.cache_hit")
async def test_every_part_of_the_scope_counts(change: dict[str, Any]) -> None:
    from dataclasses import replace

    world = World()
    await world.request("r1")
    assert (await world.request("r2", replace(SCOPE, **change))).reused_from is None
    assert world.calls == 2


@pytest.mark.parametrize(
    "history",
    [
        (_interaction(text="Bill!"),),
        (_interaction(outcome="open"),),
        (_interaction(), _interaction(interaction_id="b")),
    ],
)
@pytest.mark.acceptance("record.reuse_key")
async def test_any_change_of_the_history_counts(history: tuple[Interaction, ...]) -> None:
    world = World()
    await world.request("r1")
    assert (await world.request("r2", history=history)).reused_from is None


async def test_the_order_of_channels_does_not_count() -> None:
    from dataclasses import replace

    world = World()
    await world.request("r1")
    assert (await world.request("r2", replace(SCOPE, channel_filter=("agent", "ivr")))).reused_from == "r1"


async def test_the_window_counts_from_the_first_answer_and_reuse_does_not_stretch_it() -> None:
    world = World()
    await world.request("r1")
    for world.seconds in (200.0, 299.0):
        assert (await world.request("later")).reused_from == "r1"
    world.seconds = 301.0
    assert (await world.request("r3")).reused_from is None


async def test_another_process_s_summary_is_found_in_the_table_and_then_remembered() -> None:
    other = World()
    key = (await other.request("r1")).reuse_key
    assert key is not None
    stored = Reusable(
        reuse_key=key, summary_id="r1", summary="Stored.", model="m", answered_by="m", arm="backup", answered_at=START
    )
    world = World(seconds=200.0, table=[stored])
    for name in ("r2", "r3"):
        found = await world.request(name)
        assert (found.reused_from, found.result.output, found.result.arm) == ("r1", "Stored.", "backup")
    assert (world.calls, world.lookups) == (0, 1)
    assert (world.reuse.counts.table_hits, world.reuse.counts.memory_hits) == (1, 1)
    # Remembered at 200 s, written at 0 s.
    world.seconds, world.table = 310.0, []
    assert (await world.request("r4")).reused_from is None


@pytest.mark.acceptance("event.REUSE_LOOKUP_FAILURE")
async def test_a_table_that_fails_or_hangs_is_a_logged_miss() -> None:
    world = World(table_error=StoreError("down"))
    with capture_logs() as logs:
        assert (await world.request("r1")).result.output == "Summary 1."
    assert [entry["event"] for entry in logs] == ["REUSE_LOOKUP_FAILURE"]

    async def hang(account: str, since: datetime) -> Sequence[Reusable]:
        await asyncio.Event().wait()
        return []

    slow = World()
    slow.reuse._recent = hang
    assert (await slow.request("r1")).result.output == "Summary 1."
    assert slow.reuse.counts.lookup_failures == 1


@pytest.mark.acceptance("promise-09")
async def test_identical_simultaneous_requests_share_one_answer() -> None:
    world = World(gate=asyncio.Event())
    assert world.gate is not None
    requests = [asyncio.ensure_future(world.request(f"r{n}")) for n in range(5)]
    await asyncio.sleep(0.01)
    world.gate.set()
    answers = await asyncio.gather(*requests)
    assert world.calls == 1
    assert [item.reused_from for item in answers] == [None, "r0", "r0", "r0", "r0"]
    assert {item.result.output for item in answers} == {"Summary 1."}
    assert world.reuse.counts.shared == 4


async def test_identical_requests_share_a_failure_and_nothing_is_stored() -> None:
    world = World(error=ServiceError("no answer"), gate=asyncio.Event())
    assert world.gate is not None
    requests = [asyncio.ensure_future(world.request(f"r{n}")) for n in range(3)]
    await asyncio.sleep(0.01)
    world.gate.set()
    assert [type(item) for item in await asyncio.gather(*requests, return_exceptions=True)] == [ServiceError] * 3
    assert world.calls == 1
    world.error = None
    assert (await world.request("r9")).reused_from is None


async def test_a_waiting_request_asks_itself_when_the_leader_is_cancelled() -> None:
    world = World(gate=asyncio.Event())
    assert world.gate is not None
    leader = asyncio.ensure_future(world.request("r1"))
    await asyncio.sleep(0.01)
    twin = asyncio.ensure_future(world.request("r2"))
    await asyncio.sleep(0.01)
    leader.cancel()
    await asyncio.sleep(0.01)
    world.gate.set()
    answer = await twin
    assert (world.calls, answer.reused_from) == (2, None)


async def test_a_waiting_request_asks_itself_after_its_patience() -> None:
    world = World(gate=asyncio.Event())
    assert world.gate is not None
    leader = asyncio.ensure_future(world.request("r1"))
    await asyncio.sleep(0.01)
    twin = asyncio.ensure_future(world.request("r2", patience_s=0.01))
    for _ in range(3_000):
        if world.calls == 2:
            break
        await asyncio.sleep(0.01)
    assert world.calls == 2
    world.gate.set()
    assert [(await item).reused_from for item in (leader, twin)] == [None, None]


@pytest.mark.parametrize("arm", ["fallback", "none"])
async def test_an_answer_that_no_model_wrote_is_not_reused(arm: Any) -> None:
    world = World(result=TaskResult(output="Digest.", arm=arm, model="x", answered_by="x", latency_ms=1.0))
    for name in ("r1", "r2"):
        answer = await world.request(name)
        assert (answer.reused_from, answer.reuse_key) == (None, None)
    assert world.calls == 2


async def test_failed_results_and_empty_histories_are_not_reused() -> None:
    failed = TaskResult(
        output=None, arm="primary", model="m", answered_by="m", latency_ms=1.0, failure=FailureCode.DEADLINE
    )
    world = World(result=failed)
    await world.request("r1")
    assert (await world.request("r2")).reused_from is None
    world = World()
    for name in ("r1", "r2"):
        assert (await world.request(name, history=())).reused_from is None
    assert world.reuse.counts.requests == 0


async def test_a_window_of_zero_turns_it_off() -> None:
    world = World(window_s=0.0)
    for name in ("r1", "r2"):
        await world.request(name)
    assert (world.calls, world.lookups) == (2, 0)
