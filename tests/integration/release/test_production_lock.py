"""One change of production at a time, in a local AWS: two at once, a crashed holder, a refused release, the commands."""

import threading

import pytest
from typer.testing import CliRunner

from eval.release import services
from eval.release.services import no_deployment
from eval.spine.errors import Refused
from omni.deploying.command import deploy
from service.kit.records.shared_state import SharedState, open_shared_state
from service.rollouts.change_lock import ChangeHeld, ChangeLock

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def settings(local_aws):
    return local_aws()


@pytest.fixture
def shared(settings, request):
    found = open_shared_state(settings)
    return SharedState(found.rows, scope=request.node.name)


@pytest.mark.acceptance("operation-17")
def test_of_many_at_once_one_begins_and_the_others_learn_who(shared):
    begun, refused, together = [], [], threading.Barrier(8)

    def deploys(number):
        together.wait()
        try:
            begun.append(ChangeLock(shared).begin("deployment", f"run-{number}", "new code", for_s=60))
        except ChangeHeld as err:
            refused.append(str(err))

    threads = [threading.Thread(target=deploys, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    (winner,) = begun
    assert len(refused) == 7
    assert all(f"a deployment by {winner.holder} (new code)" in line for line in refused)
    ChangeLock(shared).end(winner)
    assert ChangeLock(shared).present() is None


def test_a_holder_that_crashed_loses_the_lock_when_it_expires(shared):
    crashed = ChangeLock(shared, now=lambda: 1_000.0).begin("deployment", "crashed", "new code", for_s=60)
    lock = ChangeLock(shared)
    assert lock.present() is None
    lock.begin("deployment", "next", "newer code", for_s=60)
    with pytest.raises(ChangeHeld, match="crashed no longer holds the lock: a deployment by next"):
        lock.end(crashed)
    assert lock.present().holder == "next"


def test_the_same_deployment_prolongs_its_lock_and_another_release_waits_its_turn(shared):
    lock = ChangeLock(shared)
    first = lock.begin("deployment", "run-1", "new code", for_s=60)
    again = lock.begin("deployment", "run-1", "new code", for_s=600)
    assert again.since == first.since
    assert again.expires > first.expires
    lock.end(again)
    one = lock.begin("release", "ann", "promotion of a", for_s=60)
    with pytest.raises(ChangeHeld, match="a release by ann"):
        lock.begin("release", "ann", "promotion of b", for_s=60)
    timer = threading.Timer(0.3, lock.end, (one,))
    timer.start()
    with lock.held("release", "ben", "promotion of b", for_s=60, patience_s=60) as mine:
        assert lock.present() == mine
    assert lock.present() is None
    timer.join()


@pytest.mark.acceptance("operation-17")
def test_a_release_is_refused_during_a_deployment_and_goes_on_after_it(shared, settings, monkeypatch):
    monkeypatch.setattr(services, "services_table", lambda _: shared)
    change = ChangeLock(shared).begin("deployment", "run-7", "new code", for_s=60)
    with (
        pytest.raises(Refused, match=r"a deployment by run-7 \(new code\).*never during one"),
        no_deployment("promotion of a", settings, None),
    ):
        pytest.fail("the release went on")
    ChangeLock(shared).end(change)
    with no_deployment("promotion of a", settings, None):
        assert ChangeLock(shared).present().kind == "release"
        with pytest.raises(ChangeHeld, match="promotion of a"):
            ChangeLock(shared).begin("deployment", "run-8", "new code", for_s=60)
    assert ChangeLock(shared).present() is None


def test_the_commands_begin_show_and_end_a_deployment(shared, monkeypatch):
    monkeypatch.setattr("eval.release.services.services_table", lambda _: shared)
    rolled_out = []
    monkeypatch.setattr("omni.deploying.command._rollouts", lambda _: rolled_out[0] if rolled_out else None)

    def typed(*words):
        return CliRunner().invoke(deploy, words)

    begin = ("begin", "--why", "new code", "--holder")
    assert "begun: a deployment by run-1 (new code)" in typed(*begin, "run-1").output
    assert "a deployment by run-1" in typed("status").output
    for refused in (typed(*begin, "run-2"), typed("end", "--holder", "run-2")):
        assert isinstance(refused.exception, Refused)
        assert "a deployment by run-1 (new code)" in str(refused.exception)
    assert "ended:" in typed("end", "--holder", "run-1").output
    assert "nobody changes production" in typed("status").output
    rolled_out.append("a rollout runs: step 2")
    assert "a rollout runs: step 2. Promote its pair" in str(typed(*begin, "run-3").exception)
    assert ChangeLock(shared).present() is None
