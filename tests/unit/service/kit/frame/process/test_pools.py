"""Ctrl-C reaches the owner of a pool and none of its children, from their first instruction on."""

import os
import signal

import pytest

from service.kit.frame.process.pools import SpawnedPool


def blocked():
    return signal.pthread_sigmask(signal.SIG_BLOCK, set())


def children_that_block():
    """Return True if this process has Ctrl-C held back, as its mask was when it began."""
    return signal.SIGINT in blocked()


@pytest.fixture
def pool():
    with SpawnedPool(2, initializer=os.getpid) as found:
        yield found


def test_every_child_has_ctrl_c_held_back(pool):
    assert all(future.result() for future in [pool.submit(children_that_block) for _ in range(4)])


def test_the_owner_can_be_interrupted_while_and_after_children_start(pool):
    pool.submit(os.getpid).result()
    assert signal.SIGINT not in blocked()
    with pytest.raises(KeyboardInterrupt):
        os.kill(os.getpid(), signal.SIGINT)


def test_a_child_outlives_ctrl_c(pool):
    child = pool.submit(os.getpid).result()
    os.kill(child, signal.SIGINT)
    assert pool.submit(children_that_block).result() is True
