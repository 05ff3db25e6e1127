"""Who was erased: read anew every two seconds, kept while the table is down, and nothing is written before the first answer."""

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest

from service.kit.frame.errors import StoreError
from service.kit.records.tombstones import REFRESH_S, Tombstones
from service.kit.telemetry.fields import account_hash, pseudonym_of

AT = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
LATER = AT + timedelta(milliseconds=1)


class Shared:
    def __init__(self):
        self.text, self.down, self.reads = None, False, 0

    def items(self, partition):
        self.reads += 1
        if self.down:
            raise StoreError("table 'x' cannot be reached")
        return [] if self.text is None else [SimpleNamespace(key=account_hash("3308126945"), text=self.text)]


@pytest.fixture
def clock():
    return SimpleNamespace(s=100.0)


@pytest.fixture
def shared():
    return Shared()


@pytest.fixture
def tombstones(shared, clock):
    return Tombstones(shared, clock=lambda: clock.s)


@pytest.mark.parametrize("name", [account_hash, pseudonym_of])
def test_what_was_made_until_the_erasure_is_covered_under_hash_and_pseudonym(shared, tombstones, name):
    shared.text = AT.isoformat()
    assert tombstones.covers([None, name("3308126945")], AT)
    assert not tombstones.covers([name("3308126945")], LATER)
    assert not tombstones.covers([name("3308126946"), ""], AT)


def test_a_new_note_is_seen_after_two_seconds_and_not_read_each_time(shared, tombstones, clock):
    names = [account_hash("3308126945")]
    assert not tombstones.covers(names, AT)
    shared.text = AT.isoformat()
    clock.s += REFRESH_S - 0.1
    assert not tombstones.covers(names, AT)
    assert shared.reads == 1
    clock.s += 0.1
    assert tombstones.covers(names, AT)


def test_while_the_table_is_down_the_last_notes_count(shared, tombstones, clock):
    shared.text = AT.isoformat()
    assert tombstones.covers([account_hash("3308126945")], AT)
    shared.down, clock.s = True, clock.s + 60
    assert tombstones.covers([account_hash("3308126945")], AT)


def test_before_the_first_answer_nothing_may_be_written(shared, tombstones):
    shared.down = True
    with pytest.raises(StoreError):
        tombstones.covers([account_hash("3308126945")], AT)


@pytest.mark.parametrize("text", ["soon", "", "2026-11-22T12:00:00"])
def test_a_note_that_cannot_be_read_covers_its_customer_and_holds_up_nobody_else(shared, tombstones, text):
    shared.text = text
    assert tombstones.covers([account_hash("3308126945")], LATER)
    assert not tombstones.covers([account_hash("3308126946")], AT)


def test_without_an_aws_nobody_was_erased():
    assert not Tombstones(None).covers([account_hash("3308126945")], AT)
