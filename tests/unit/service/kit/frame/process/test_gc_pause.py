"""The garbage collector is paused for imports, and runs again as it did before."""

import gc

import pytest

from service.kit.frame.process.gc_pause import paused_gc


@pytest.fixture(autouse=True)
def collector():
    enabled = gc.isenabled()
    yield
    gc.unfreeze()
    (gc.enable if enabled else gc.disable)()


def test_the_collector_is_paused_inside_and_runs_again_after_it():
    gc.enable()
    with paused_gc():
        assert not gc.isenabled()
    assert gc.isenabled()


def test_the_collector_runs_again_after_a_failed_import():
    gc.enable()
    with pytest.raises(ImportError), paused_gc():
        raise ImportError("no such library")
    assert gc.isenabled()


def test_a_collector_that_was_off_before_stays_off():
    gc.disable()
    with paused_gc():
        pass
    assert not gc.isenabled()


def test_objects_created_inside_are_frozen():
    with paused_gc():
        kept = [[] for _ in range(10)]
    assert kept
    assert gc.get_freeze_count() >= 10
