"""What somebody may write into the lock of production, and what an operator sees of it."""

import json

import pytest
from shared_table import TableInMemory

from service.kit.frame.errors import StoreError
from service.rollouts.change_lock import ChangeHeld, ChangeLock


def held(**fields):
    table = TableInMemory()
    known = {"kind": "release", "holder": "ann", "why": "w", "since": 1000.0, "expires": 2000.0}
    table.put("production-change", "holder", json.dumps(known | fields))
    return ChangeLock(table, now=lambda: 1500.0)


@pytest.mark.parametrize("moment", [1e300, float("nan"), float("inf"), -1.0])
def test_a_moment_that_is_none_is_a_damaged_lock_and_names_its_place(moment):
    with pytest.raises(StoreError, match=r"'holder' of 'test/production-change' .* is damaged; delete it"):
        held(expires=moment).begin("release", "me", "w", for_s=60)


def test_whoever_waits_reads_who_holds_it_on_one_short_line():
    with pytest.raises(ChangeHeld) as refused:
        held(holder="\x1b[2J" + "x" * 100_000, why="a\nb\u202e").begin("release", "me", "w", for_s=60)
    assert len(str(refused.value)) < 500
    assert str(refused.value).isprintable()
