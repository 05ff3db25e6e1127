"""The loader killed by SIGKILL within a batch, against a local AWS (ministack): the next run completes the batch once."""

import random
from dataclasses import replace

import loadable
import pytest
from deadly import Kill, put_back, run_deadly
from load_place import make_place
from queues import UntilEmpty

from service.access.control import account_key
from service.answers_kept.archive import Archive
from service.kit.aws.event_queue import EventQueue
from service.kit.telemetry.fields import set_account_key
from service.loading.build import build_loader
from service.warehouse.duck import DuckWarehouse

pytest.importorskip("ministack", reason="the local AWS is a development dependency: make setup")
pytestmark = pytest.mark.slow

OWNERS = (Archive, DuckWarehouse, EventQueue)
# Calls of each step in one undisturbed run over the objects below, in a batch of 30 messages.
STEPS = {
    "Archive.read": 30, "Archive.put_json": 3, "DuckWarehouse.merge": 6, "DuckWarehouse.close": 4, "EventQueue.delete": 1,
    "EventQueue.receive": 3,
}  # fmt: skip
TEN = [(step, turn) for turn in (1, 2) for step in STEPS][:10]


def drain(settings):
    set_account_key(account_key(settings))
    loader, _ = build_loader(settings)
    loader = replace(loader, queue=UntilEmpty(loader.queue), report=lambda tally: None)
    loader.prepare_warehouse()
    loader.drain()


@pytest.fixture(scope="module")
def stack(local_aws):
    return local_aws(store_timeout_s=20.0)


def load(stack, folder, name, kill=None):
    """Load the same 30 objects into a new bucket and warehouse, with or without kills; return them after the last run."""
    place = make_place(stack, folder, name)
    summaries = [loadable.summary(n) for n in range(20)]
    place.put(*summaries, *(loadable.feedback(n, of=summaries[n]) for n in range(6)), loadable.release())
    for bad in ("a", "b", "c"):
        place.put_text(f"omni-channel/processed/{bad}", '{"cut')
    if kill is not None:
        killed, held = run_deadly(drain, place.settings, folder=folder / "killed", kill=kill, owners=OWNERS)
        assert killed, f"{kill} was never reached"
        put_back(place.sqs, held)
    killed, _ = run_deadly(drain, place.settings, folder=folder / "after")
    assert not killed
    place.close()
    return place


@pytest.fixture(scope="module")
def undisturbed(stack, tmp_path_factory):
    found = load(stack, tmp_path_factory.mktemp("undisturbed"), "undisturbed").tables()
    assert len(found["omni_summaries"].splitlines()) == 21
    return found


@pytest.mark.parametrize(("step", "turn"), TEN)
def test_killed_in_a_batch_nothing_is_lost_and_nothing_double(stack, undisturbed, tmp_path, step, turn):
    rng = random.Random(f"{step} {turn}")
    kill = Kill(step=step, when=rng.choice(("before", "after")), nth=rng.randint(1, STEPS[step]))
    place = load(stack, tmp_path, f"{step.lower().replace('.', '-').replace('_', '-')}-{turn}", kill)
    assert place.tables() == undisturbed, kill
    assert place.balanced().balanced
    assert len(place.dead_letters()) == 3
    assert place.queue.waiting() == (0, 0)
