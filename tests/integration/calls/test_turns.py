"""A following worker takes calls in turn: a flood of one tenant holds up nobody else, and what cannot go on waits and says so."""

import asyncio
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import anyio
import pytest
from call_place import ACME, BRAND, CallPlace, EndingJob, make_place, omni_calls
from deadly import Kill, run_deadly
from structlog.testing import capture_logs

from service.calls.failure import NotReady
from service.calls.keys import CallObject
from service.calls.store.objects import TenantResults
from service.calls.store.states import CallJobs, StateLost
from service.calls.worker.build import build_worker
from service.calls.worker.replay import watch_all
from service.calls.worker.scoring import ModelBusy
from service.calls.worker.turns import CallTurns, in_turn
from service.calls.worker.worker import VISIBLE_AFTER_S, CallTally
from service.kit.aws.clients import client
from service.kit.frame.errors import StoreError
from service.kit.settings import Settings

pytest.importorskip("ministack", reason="the local AWS is a development dependency: make setup")


@pytest.fixture(scope="module")
def stack(local_aws: Any) -> Settings:
    made: Settings = local_aws(store_timeout_s=20.0, redactor="patterns")
    return made


@pytest.fixture
async def place(stack: Settings, tmp_path: Any, request: pytest.FixtureRequest) -> CallPlace:
    name = "".join(c if c.isalnum() else "-" for c in request.node.name.lower())[-30:].strip("-")
    return await make_place(stack, tmp_path, name)


async def _no_pause(seconds: float) -> None:
    return None


def _turns(place: CallPlace, **changes: Any) -> CallTurns:
    return CallTurns(**({"worker": place.worker, "sleep": _no_pause} | changes))


def _rounds(count: int) -> Callable[[], bool]:
    left = iter([True] * count)
    return lambda: next(left, False)


def _ended(place: CallPlace, tenant: str) -> int:
    return sum(job.state == "done" for job in place.worker.jobs.of(tenant))


def _put(place: CallPlace, tenant: str, count: int) -> None:
    for number in range(count):
        place.put(f"{tenant}/calls/{number}.json", agent_id=f"{tenant}-{number}")


def test_each_tenant_has_its_turn_and_its_oldest_call_goes_first() -> None:
    calls = {"a": 5, "b": 1, "c": 2}
    waiting: list[deque[Any]] = [
        deque(SimpleNamespace(name=f"{tenant}{number}") for number in range(count)) for tenant, count in calls.items()
    ]
    assert [call.name for call in in_turn(waiting, 6)] == ["a0", "b0", "c0", "a1", "c1", "a2"]


@pytest.mark.acceptance("call-operation-07")
async def test_a_flood_of_one_tenant_does_not_hold_up_another(place: CallPlace) -> None:
    _put(place, ACME, 40)
    _put(place, BRAND, 3)
    await _turns(place).follow(lambda tally: None, wait_s=0, more=_rounds(1))
    assert (_ended(place, ACME), _ended(place, BRAND)) == (7, 3)
    assert place.worker.queue is not None
    assert place.worker.queue.waiting() == (0, 0)  # written down: a flood does not wait in the queue
    await _turns(place).follow(lambda tally: None, wait_s=0, more=_rounds(6))
    assert _ended(place, ACME) == 40


async def test_what_a_worker_wrote_down_before_it_died_is_taken_by_another(place: CallPlace) -> None:
    _put(place, ACME, 2)
    await _turns(place).take_in(wait_s=0)
    assert {job.state for job in place.worker.jobs.of(ACME)} == {"received"}
    later = replace(place.worker, owner="another", now=lambda: datetime.now(UTC) + timedelta(seconds=5))
    await _turns(place, worker=later).follow(lambda tally: None, wait_s=0, more=_rounds(2))
    assert _ended(place, ACME) == 2


class _Killed(BaseException):
    """The end of the process."""


def _killed(*_: Any, **__: Any) -> None:
    raise _Killed


class _Watched:
    """A queue that notes for how long messages are hidden from other workers."""

    def __init__(self, queue: Any) -> None:
        self._queue, self.hidden = queue, dict[str, int]()
        self.delete, self.waiting = queue.delete, queue.waiting

    def receive(self, *, wait_s: int, visible_after_s: int) -> Any:
        found = self._queue.receive(wait_s=wait_s, visible_after_s=visible_after_s)
        self.hidden |= {message.receipt: visible_after_s for message in found}
        return found

    def keep(self, receipts: list[str], *, visible_after_s: int) -> None:
        self._queue.keep(receipts, visible_after_s=visible_after_s)
        self.hidden |= dict.fromkeys(receipts, visible_after_s)


async def test_what_a_worker_received_and_did_not_write_down_is_soon_seen_again(
    place: CallPlace, monkeypatch: pytest.MonkeyPatch
) -> None:
    _put(place, ACME, 2)
    queue: Any = _Watched(place.worker.queue)
    turns = _turns(place, worker=replace(place.worker, queue=queue, visible_after_s=VISIBLE_AFTER_S))
    with monkeypatch.context() as patch:
        patch.setattr(place.worker.jobs, "register", _killed)
        with pytest.raises(_Killed):
            await turns.take_in(wait_s=0)
    assert set(queue.hidden.values()) == {60}


async def test_what_needs_work_is_kept_from_other_workers_meanwhile(place: CallPlace) -> None:
    _put(place, ACME, 1)
    place.put("nobody/calls/0.json")  # its dead letter is written at once
    queue: Any = _Watched(place.worker.queue)
    await _turns(place, worker=replace(place.worker, queue=queue, visible_after_s=VISIBLE_AFTER_S)).take_in(wait_s=0)
    assert set(queue.hidden.values()) == {60, VISIBLE_AFTER_S}


def _drain_in_turns(settings: Settings) -> None:
    # Leases that have run out by the time that the next worker comes.
    worker = replace(build_worker(settings, pair="keywords"), lease=timedelta(0))
    asyncio.run(CallTurns(worker=worker, again_after=(timedelta(0), timedelta(0))).drain())


@pytest.mark.slow
@pytest.mark.parametrize("step", ["TenantResults.put", "CallJobs.advance"])
async def test_a_killed_workers_calls_wait_for_no_message(place: CallPlace, tmp_path: Path, step: str) -> None:
    """What the killed process received from the queue stays hidden there; the next one needs none of it."""
    _put(place, ACME, 3)
    kill = Kill(step=step, when="after", nth=2)
    killed, _ = run_deadly(
        _drain_in_turns, place.settings, folder=tmp_path / "killed", kill=kill, owners=(TenantResults, CallJobs)
    )
    assert killed
    assert _ended(place, ACME) < 3
    run_deadly(_drain_in_turns, place.settings, folder=tmp_path / "after")
    assert _ended(place, ACME) == 3
    assert len(list(place.worker.results(ACME).listed("acme/2026/"))) == 3
    assert len(place.tables()["omni_calls"].splitlines()[1:]) == 3


@pytest.mark.acceptance("call-03")
async def test_without_follow_every_recording_is_handed_to_the_transcription(place: CallPlace) -> None:
    """A round whose calls all wait for their transcriptions is no reason to stop."""
    for number in range(5):
        place.put_bytes(f"acme/calls/{number}.wav", b"RIFF sound %d" % number)
    transcriber = EndingJob()
    worker = replace(place.worker, transcriber=transcriber)
    tally = await _turns(place, worker=worker, round_of=2).drain()
    assert [job.awaiting is not None for job in place.worker.jobs.of(ACME)] == [True] * 5
    assert tally.waiting == 5


async def test_without_follow_calls_that_cannot_go_on_hold_up_no_other(
    place: CallPlace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The calls of a whole round cannot be read at this time."""
    _put(place, ACME, 6)
    unreadable: set[str] = set()
    real = type(place.worker)._hear

    async def hear(self: Any, job: Any, *more: Any) -> Any:
        if len(unreadable) < 2:
            unreadable.add(job.call_id)
            raise StoreError("slow down")
        return await real(self, job, *more)

    monkeypatch.setattr(type(place.worker), "_hear", hear)
    await _turns(place, round_of=2).drain()
    assert _ended(place, ACME) == 4


@pytest.mark.parametrize(
    "answer", [StoreError("the table of tenants does not answer"), False], ids=["down", "deleting"]
)
async def test_without_follow_calls_that_nobody_can_claim_end_the_run(
    place: CallPlace, monkeypatch: pytest.MonkeyPatch, answer: StoreError | bool
) -> None:
    """They were written down before, and no attempt at them is counted."""
    _put(place, ACME, 3)
    turns = _turns(place, round_of=2)
    await turns.take_in(wait_s=1)
    tried: list[str] = []

    async def known(tenant: str) -> bool:
        tried.append(tenant)
        if isinstance(answer, StoreError):
            raise answer
        return answer

    monkeypatch.setattr(place.worker.forms, "known", known)
    with anyio.fail_after(60):  # without an end it would try the same calls for ever
        await turns.drain()
    assert len(tried) >= 3
    assert {(job.state, job.attempts) for job in place.worker.jobs.of(ACME)} == {("received", 0)}


async def test_calls_that_nobody_can_claim_hide_no_newer_one(place: CallPlace, monkeypatch: pytest.MonkeyPatch) -> None:
    """A tenant's deletion that was interrupted: its calls stand first in the list, and none can be taken."""
    tried: list[str] = []
    claim = CallJobs.claim

    def watched(self: CallJobs, source: CallObject, **more: Any) -> Any:
        tried.append(source.call_id)
        return claim(self, source, **more)

    monkeypatch.setattr(CallJobs, "claim", watched)
    _put(place, ACME, 10)
    turns = _turns(place, round_of=2)
    await turns.take_in(wait_s=1)
    erased = {job.call_id for job in place.worker.jobs.of(ACME)}
    monkeypatch.setattr(place.worker.jobs, "is_erased", lambda source: source.call_id in erased)
    place.put(f"{ACME}/calls/newer.json", agent_id="newer")
    await turns.follow(lambda tally: None, wait_s=0, more=_rounds(8))
    assert (len(erased), _ended(place, ACME)) == (10, 1)
    assert len(tried) == len(set(tried)) == 11  # and none is tried in round after round


async def test_a_run_whose_stores_refuse_every_call_fails_and_says_what_is_left(place: CallPlace) -> None:
    _put(place, ACME, 2)
    done = await anyio.to_thread.run_sync(lambda: omni_calls(place.settings, "work", OMNI_RESULTS_BUCKET="nowhere"))
    assert (done.returncode, "2 not finished" in done.stderr) == (1, True), done.stdout + done.stderr


@pytest.mark.acceptance("call-operation-07")
async def test_two_workers_do_each_call_once(place: CallPlace) -> None:
    _put(place, ACME, 12)
    tallies: list[CallTally] = []
    one, two = _turns(place), _turns(place, worker=replace(place.worker, owner="two"))
    await one.take_in(wait_s=0)
    await two._look()
    for _ in range(4):
        tallies += [await one.take(), await two.take()]
    assert sum(tally.states["done"] for tally in tallies) == 12
    assert _ended(place, ACME) == 12


async def test_what_is_more_than_a_new_call_is_dealt_with_at_once(place: CallPlace) -> None:
    place.put("acme/calls/x.json")
    await _turns(place).follow(lambda tally: None, wait_s=0, more=_rounds(1))
    place.put("acme/calls/x.json")
    place.put("stranger/calls/y.json")
    tally = await _turns(place).take_in(wait_s=0)
    assert (tally.known, tally.refused) == (1, 1)
    assert place.worker.queue is not None
    assert place.worker.queue.waiting() == (0, 0)


class _Busy:
    """A scorer whose model answers from a moment on."""

    def __init__(self, real: Any) -> None:
        self._real, self.down = real, True

    async def score(self, *asked: Any, **more: Any) -> Any:
        if self.down:
            raise ModelBusy("no answer: MODEL_UNAVAILABLE")
        return await self._real.score(*asked, **more)


@pytest.mark.acceptance("event.CALLS_WAIT", "call-operation-07")
async def test_while_the_model_is_down_calls_wait_and_say_so(place: CallPlace) -> None:
    _put(place, ACME, 3)
    scorer, paused = _Busy(place.worker.scorer), []

    async def sleep(seconds: float) -> None:
        paused.append(seconds)
        if len(paused) == 4:
            scorer.down = False

    turns = _turns(
        place, worker=replace(place.worker, scorer=scorer), sleep=sleep, again_after=(timedelta(0), timedelta(0))
    )  # type: ignore[arg-type]
    tallies: list[CallTally] = []
    with capture_logs() as logs:
        await turns.follow(tallies.append, wait_s=0, more=_rounds(8))
    assert [tally.busy for tally in tallies[:4]] == [3, 1, 1, 1]
    assert paused == [1.0, 2.0, 4.0, 8.0]
    assert [line["reason"] for line in logs if line["event"] == "CALLS_WAIT"] == ["no answer from the model"] * 4
    assert _ended(place, ACME) == 3


async def test_a_call_that_the_model_left_is_not_asked_again_at_once(place: CallPlace) -> None:
    _put(place, ACME, 1)
    scorer = _Busy(place.worker.scorer)
    turns = _turns(place, worker=replace(place.worker, scorer=scorer))  # type: ignore[arg-type]
    await turns.follow(lambda tally: None, wait_s=0, more=_rounds(8))
    (job,) = place.worker.jobs.of(ACME)
    assert (job.state, job.attempts) == ("redacted", 1)


@pytest.mark.acceptance("call-operation-07")
async def test_a_store_that_throttles_is_waited_for(place: CallPlace, monkeypatch: pytest.MonkeyPatch) -> None:
    _put(place, ACME, 2)
    real, left = place.worker.jobs.register, iter([True, True])

    def throttled(*asked: Any, **more: Any) -> Any:
        if next(left, False):
            raise StoreError("table 'calls' is throttled")
        return real(*asked, **more)

    monkeypatch.setattr(place.worker.jobs, "register", throttled)
    turns = _turns(place, worker=replace(place.worker, visible_after_s=0))
    with capture_logs() as logs:
        await turns.follow(lambda tally: None, wait_s=0, more=_rounds(8))
    assert "throttled" in next(line["reason"] for line in logs if line["event"] == "CALLS_WAIT")
    assert _ended(place, ACME) == 2


async def test_a_lease_that_could_not_be_given_back_is_taken_up_by_its_owner_alone(
    place: CallPlace, monkeypatch: pytest.MonkeyPatch
) -> None:
    _put(place, ACME, 1)
    scorer = _Busy(place.worker.scorer)
    worker = replace(place.worker, scorer=scorer, lease=timedelta(minutes=15))  # type: ignore[arg-type]

    def throttled(*_: Any, **__: Any) -> None:
        raise StoreError("table 'calls' is throttled")

    with monkeypatch.context() as patch:
        patch.setattr(worker.jobs, "release", throttled)
        await _turns(place, worker=worker).follow(lambda tally: None, wait_s=0, more=_rounds(1))
    scorer.down = False
    later = datetime.now(UTC) + timedelta(minutes=2)
    another = replace(worker, owner="another", now=lambda: later)
    await _turns(place, worker=another).follow(lambda tally: None, wait_s=0, more=_rounds(2))
    assert _ended(place, ACME) == 0
    await _turns(place, worker=replace(worker, now=lambda: later)).follow(lambda tally: None, wait_s=0, more=_rounds(2))
    assert _ended(place, ACME) == 1


@pytest.mark.acceptance("call-step-15")
async def test_a_following_worker_takes_up_every_tenants_calls_while_the_queue_is_busy(place: CallPlace) -> None:
    transcriber, tallies = EndingJob(), []
    worker = replace(place.worker, transcriber=transcriber)
    place.put_bytes("acme/calls/x.wav", b"RIFF some sound")
    place.put_bytes("brand/calls/y.wav", b"RIFF some sound")
    await worker.drain()
    transcriber.ended = True
    place.put("acme/calls/one.json")
    clock: Iterator[datetime] = iter([datetime.now(UTC) + timedelta(seconds=30 * step) for step in range(1000)])
    later = replace(worker, now=lambda: next(clock))
    await _turns(place, worker=later).follow(tallies.append, wait_s=0, more=_rounds(30))
    assert sum(tally.states["done"] for tally in tallies) == 3
    assert {job.state for tenant in (ACME, BRAND) for job in place.worker.jobs.of(tenant)} == {"done"}
    assert list(place.worker.jobs.open_everywhere(datetime.now(UTC) + timedelta(days=1))) == []


@pytest.mark.acceptance("call-operation-07")
async def test_a_call_that_waited_long_for_its_turn_is_not_stuck(place: CallPlace) -> None:
    _put(place, ACME, 3)
    _put(place, BRAND, 1)
    await _turns(place).take_in(wait_s=0)
    later = replace(place.worker, now=lambda: datetime.now(UTC) + timedelta(hours=1))
    assert await watch_all(later) == CallTally()
    assert await _turns(place, worker=later).take() == CallTally()  # no tenant has said anything yet
    await _turns(place, worker=later, round_of=2).follow(lambda tally: None, wait_s=0, more=_rounds(2))
    assert (_ended(place, ACME), _ended(place, BRAND)) == (1, 1)  # the first round learned who waits


async def test_a_call_that_takes_longer_than_its_lease_stays_with_its_living_worker(place: CallPlace) -> None:
    _put(place, ACME, 1)
    jobs, refused = place.worker.jobs, []

    class Slow:
        async def score(self, source: Any, *asked: Any, **more: Any) -> Any:
            until = first = _leased_until(place, source)
            with anyio.move_on_after(60):
                while until == first:
                    await anyio.sleep(0.02)
                    until = _leased_until(place, source)
            assert until > first, "nobody renewed the lease"
            over = datetime.fromtimestamp(first + 0.001, UTC)
            with pytest.raises(NotReady):
                jobs.claim(source, owner="another", now=over, lease=timedelta(minutes=2))
            refused.append(source)
            return await place.worker.scorer.score(source, *asked, **more)

    worker = replace(place.worker, scorer=Slow(), lease=timedelta(seconds=4))  # type: ignore[arg-type]
    await _turns(place, worker=worker).follow(lambda tally: None, wait_s=0, more=_rounds(1))
    assert (len(refused), _ended(place, ACME)) == (1, 1)


async def test_a_call_that_makes_no_step_for_long_is_taken_from_its_worker(place: CallPlace) -> None:
    _put(place, ACME, 1)
    await _turns(place).take_in(wait_s=0)
    jobs, lease = place.worker.jobs, timedelta(minutes=2)
    (call,) = jobs.of(ACME)
    now = datetime.now(UTC)
    held = jobs.claim(call.source, owner="hung", now=now, lease=lease)
    later = now + timedelta(minutes=14)
    jobs.renew(held, now=later, lease=lease, since=later - timedelta(minutes=15))
    with pytest.raises(NotReady):
        jobs.claim(call.source, owner="another", now=later + timedelta(minutes=1), lease=lease)
    later += timedelta(minutes=3)
    with pytest.raises(StateLost):
        jobs.renew(held, now=later, lease=lease, since=later - timedelta(minutes=15))
    assert jobs.claim(call.source, owner="another", now=later, lease=lease).owner == "another"
    with pytest.raises(StateLost):
        jobs.renew(held, now=later, lease=lease, since=now)


async def test_a_correction_on_its_way_to_the_warehouse_is_no_unfinished_call(place: CallPlace) -> None:
    _put(place, ACME, 2)
    await _turns(place, round_of=1).follow(lambda tally: None, wait_s=0, more=_rounds(1))
    worker, later = place.worker, datetime.now(UTC) + timedelta(hours=1)
    done, waiting = sorted(worker.jobs.of(ACME), key=lambda job: job.state)
    worker.reviews.override(ACME, done.call_id, "greet", "no", reason="", who="dana", edit=None)
    assert (done.state, list(worker.jobs.open_everywhere(later))) == ("done", [waiting])


def _leased_until(place: CallPlace, source: CallObject) -> float:
    key = {"pk": {"S": f"TENANT#{source.tenant}"}, "sk": {"S": f"CALL#{source.call_id}"}}
    with closing(client("dynamodb", place.settings)) as dynamodb:
        found = dynamodb.get_item(TableName=place.settings.calls.table, Key=key, ConsistentRead=True)
    return float(found["Item"]["lease_until"]["N"])
