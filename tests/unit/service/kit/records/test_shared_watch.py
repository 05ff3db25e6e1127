import pytest
from structlog.testing import capture_logs

from service.kit.frame.errors import StoreError
from service.kit.records.shared_state import open_shared_state
from service.kit.records.shared_watch import SharedWatch
from service.kit.settings import Settings


class State:
    def __init__(self):
        self.found = {}

    def changes(self):
        if isinstance(self.found, Exception):
            raise self.found
        return dict(self.found)


class Listener:
    def __init__(self, fails=0, error=StoreError):
        self.told, self.fails, self.error = 0, fails, error

    def __call__(self):
        self.told += 1
        if self.fails:
            self.fails -= 1
            raise self.error("not now")


def test_only_the_listeners_of_what_changed_are_told_and_all_of_them_at_the_start():
    state, one, other = State(), Listener(), Listener()
    watch = SharedWatch(state, clock=lambda: 0.0)
    watch.on_change("clients", one)
    watch.on_change("rollout/summarize", other)
    watch.look()
    watch.look()
    assert (one.told, other.told) == (1, 1)
    state.found["clients"] = 4
    watch.look()
    watch.look()
    assert (one.told, other.told) == (2, 1)


def test_everyone_is_told_at_least_once_a_minute():
    now, listener = [0.0], Listener()
    watch = SharedWatch(State(), clock=lambda: now[0])
    watch.on_change("clients", listener)
    for now[0] in (0.0, 30.0, 59.0, 60.0, 61.0):
        watch.look()
    assert listener.told == 2


@pytest.mark.parametrize("error", [StoreError, ValueError])
def test_a_listener_that_fails_is_told_again_and_keeps_no_other_waiting(error):
    state, one, other = State(), Listener(2, error), Listener()
    watch = SharedWatch(state, clock=lambda: 0.0)
    watch.on_change("clients", one)
    watch.on_change("clients", other)
    for _ in range(4):
        watch.look()
    assert (one.told, other.told) == (3, 1)


@pytest.mark.acceptance("event.SHARED_STATE_UNREACHABLE", "event.SHARED_STATE_BACK")
def test_an_outage_is_logged_once_and_every_listener_is_told_afterwards():
    state, listener = State(), Listener()
    watch = SharedWatch(state, clock=lambda: 0.0)
    watch.on_change("clients", listener)
    state.found = StoreError("the table cannot be reached")
    with capture_logs() as logs:
        watch.look()
        watch.look()
        assert watch.error == "the table cannot be reached"
        state.found = {"clients": 1}
        watch.look()
    assert [entry["event"] for entry in logs] == ["SHARED_STATE_UNREACHABLE", "SHARED_STATE_BACK"]
    assert (listener.told, watch.error) == (1, None)


def test_an_answer_that_is_none_of_the_tables_does_not_end_the_looking():
    state, listener = State(), Listener()
    watch = SharedWatch(state, clock=lambda: 0.0)
    watch.on_change("clients", listener)
    state.found = KeyError("Items")
    with capture_logs():
        watch.look()
        assert "KeyError" in watch.error
        state.found = {"clients": 1}
        watch.look()
    assert (listener.told, watch.error) == (1, None)


def test_without_a_local_aws_there_is_no_shared_state(tmp_path):
    assert open_shared_state(Settings(state_dir=tmp_path)) is None
    watch = SharedWatch(None)
    watch.start()
    watch.stop()
