"""The call pipeline killed by SIGKILL at each of its steps, every event coming twice: nothing lost, nothing double."""

import asyncio
import random
from contextlib import closing
from dataclasses import replace
from datetime import timedelta

import pytest
from call_place import ACME, BRAND, TURNS, make_place
from deadly import Kill, put_back, run_deadly
from queues import UntilEmpty

from service.calls.keys import NO_TENANT
from service.calls.store.objects import CallInputs, TenantResults
from service.calls.store.states import CallJobs
from service.calls.worker.build import build_worker
from service.calls.worker.replay import count_calls
from service.kit.aws.clients import client
from service.kit.aws.event_queue import EventQueue
from service.warehouse.duck import DuckWarehouse

pytest.importorskip("ministack", reason="the local AWS is a development dependency: make setup")
pytestmark = pytest.mark.slow

OWNERS = (CallInputs, TenantResults, CallJobs, DuckWarehouse, EventQueue)
# Each step happens at least so often in an undisturbed run, also when both deliveries of an event come in one batch.
STEPS = {
    "CallInputs.read": 4, "TenantResults.put": 8, "TenantResults.read": 3, "CallJobs.claim": 4, "CallJobs.advance": 15,
    "DuckWarehouse.merge": 2, "DuckWarehouse.close": 1, "EventQueue.delete": 1, "EventQueue.receive": 1,
}  # fmt: skip


def drain(settings):
    # Leases that have run out by the time that the next worker comes.
    worker = replace(build_worker(settings, pair="keywords"), lease=timedelta(0))
    asyncio.run(replace(worker, queue=UntilEmpty(worker.queue)).drain())


@pytest.fixture(scope="module")
def stack(local_aws):
    return local_aws(store_timeout_s=20.0, redactor="patterns")


def work(stack, folder, name, kill=None):
    """Take the same calls to their ends in a place of their own, killed or not; return the place after the last run."""
    place = asyncio.run(make_place(stack, folder, name))
    for _ in range(2):  # each event twice
        for n in range(4):
            place.put(f"acme/calls/{n}.json", TURNS[: 1 + n % 3], call_date="2026-11-16T09:00:00Z", agent_id=f"a-{n}")
        place.put("brand/calls/0.json", call_date="2026-11-16T09:00:00Z")
        place.put_bytes("acme/calls/bad.json", b"{cut")
        place.put("nobody/calls/0.json")
    if kill is not None:
        killed, held = run_deadly(drain, place.settings, folder=folder / "killed", kill=kill, owners=OWNERS)
        assert killed, f"{kill} was never reached"
        with closing(client("sqs", place.settings)) as sqs:
            put_back(sqs, held)
    killed, _ = run_deadly(drain, place.settings, folder=folder / "after")
    assert not killed
    return place


@pytest.fixture(scope="module")
def undisturbed(stack, tmp_path_factory):
    found = work(stack, tmp_path_factory.mktemp("undisturbed"), "undisturbed").tables()
    assert len(found["omni_calls"].splitlines()) == 6
    return found


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.acceptance("call-01", "call-operation-04", "call-operation-07")
def test_killed_with_every_event_twice_nothing_is_lost_and_nothing_double(stack, undisturbed, tmp_path, step):
    rng = random.Random(step)
    kill = Kill(step=step, when=rng.choice(("before", "after")), nth=rng.randint(1, STEPS[step]))
    place = work(stack, tmp_path, step.lower().replace(".", "-"), kill)
    assert place.tables() == undisturbed, kill
    accounts = [count_calls(place.worker, tenant) for tenant in (ACME, BRAND)]
    assert all(one.balanced for one in accounts), (kill, [one.lines() for one in accounts])
    assert [one.ended for one in accounts] == [5, 1]
    assert len(place.letters(ACME)) == len(place.letters(NO_TENANT)) == 1
    assert len([item.key for item in place.worker.results(ACME).listed("acme/2026/")]) == 4
    assert place.worker.queue.waiting() == (0, 0)
