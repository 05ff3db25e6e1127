"""The shared state against a local AWS: versions, one winner of two writers, batches counted once, changes."""

import threading
from decimal import Decimal

import pytest

from service.kit.aws.clients import client
from service.kit.aws.stores import SHARED
from service.kit.frame.errors import StoreError
from service.kit.records.dynamo import DynamoRows
from service.kit.records.shared_state import SharedState, SharedStateChanged, open_shared_state

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def settings(local_aws):
    return local_aws()


@pytest.fixture
def state(settings, request):
    """The table that `omni up` makes, in a scope of this test alone."""
    found = open_shared_state(settings)
    return SharedState(found.rows, scope=request.node.name)


def test_a_text_is_replaced_only_at_the_version_that_was_read(state):
    state.put("clients", "widget", "one", expected=0)
    with pytest.raises(SharedStateChanged):
        state.put("clients", "widget", "two", expected=0)
    state.put("clients", "widget", "two", expected=1)
    assert (state.get("clients", "widget").text, state.get("clients", "widget").version) == ("two", 2)
    state.put("clients", "widget", "three")
    state.delete("clients", "widget", expected=3)
    assert state.get("clients", "widget") is None
    with pytest.raises(SharedStateChanged):
        state.delete("clients", "widget", expected=3)


def test_an_expired_text_is_none_that_stands_in_the_way(state):
    state.put("leases", "report", "one", expected=0, expires_at=1_000.0)
    assert state.get("leases", "report") is None
    state.put("leases", "report", "two", expected=0)
    assert state.get("leases", "report").text == "two"


def test_each_write_of_a_text_raises_its_partitions_number_and_a_refused_one_does_not(state):
    assert state.changes() == {}
    state.put("a", "x", "1")
    state.put("a", "y", "1")
    state.put("b", "x", "1")
    with pytest.raises(SharedStateChanged):
        state.put("b", "x", "2", expected=7)
    state.put_quietly("b", "beat", "1", expires_at=2e10)
    state.add("b", "n", {"n": 1}, writer="w", batch=1, expires_at=2e10)
    assert state.changes() == {"a": 2, "b": 1}
    state.delete("a", "x")
    assert state.changes() == {"a": 3, "b": 1}
    state.announce("c")
    assert state.changes() == {"a": 3, "b": 1, "c": 1}


@pytest.mark.parametrize("version", ["x", Decimal("9E125"), -1, [1]])
def test_a_version_that_is_none_keeps_nothing_from_being_written(state, version):
    def damage(partition, key, **more):
        state.rows.put({"pk": f"{state._scope}/{partition}", "sk": key, "version": version, **more})

    damage("changes", "clients")
    damage("clients", "widget", text="one")
    assert state.change("clients", "widget", lambda text: f"{text} two") == "one two"
    assert state.get("clients", "widget").text == "one two"
    before = state.changes()["clients"]
    damage("changes", "clients")
    state.announce("clients")
    damage("clients", "widget", text="one")
    state.delete("clients", "widget")
    assert state.get("clients", "widget") is None
    assert state.changes()["clients"] != before


def test_a_batch_is_counted_once_however_often_it_is_sent(state):
    def send(writer, batch, **amounts):
        return state.add("rollout", "counts", amounts, writer=writer, batch=batch, expires_at=2e10)

    assert send("one", 1, requests=3, cost=Decimal("0.0000012"))
    assert not send("one", 1, requests=3, cost=Decimal("0.0000012"))
    assert send("other", 1, requests=4, errors=1)
    assert send("one", 4, requests=1)
    assert not send("one", 3, requests=1)
    found = state.get("rollout", "counts")
    assert found.counts == {"requests": 8, "errors": 1, "cost": Decimal("0.0000012")}
    assert found.batches == {"one": 4, "other": 1}


def test_a_batch_may_hold_many_counts_and_a_small_cost(state):
    amounts = {f"count.of.some.name.{number}": number for number in range(139)} | {"cost": Decimal("1e-18")}
    assert state.add("rollout", "counts", amounts, writer="w", batch=1, expires_at=2e10)
    assert state.get("rollout", "counts").counts == amounts


def test_changes_at_the_same_time_are_all_kept(state):
    def count():
        for _ in range(5):
            state.change("sum", "n", lambda text: str(int(text or 0) + 1))

    threads = [threading.Thread(target=count) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert state.get("sum", "n").text == "15"
    assert state.change("sum", "n", lambda text: None) == "15"


def test_items_come_in_order_of_their_keys_and_expired_ones_not_at_all(settings, state):
    for key in ("b/2", "b/1", "a/1", "b/3"):
        state.put("list", key, key)
    state.put("list", "b/0", "old", expires_at=1_000.0)
    assert [item.key for item in state.items("list", first="b/", last="b/2")] == ["b/1", "b/2"]
    assert [item.key for item in state.items("list")] == ["a/1", "b/1", "b/2", "b/3"]
    assert state.get("list", "b/0") is None


def test_scopes_do_not_see_each_other(state):
    state.put("clients", "widget", "one")
    other = SharedState(state.rows, scope="another")
    assert other.get("clients", "widget") is None
    assert other.changes() == {}


def test_a_missing_table_says_what_to_do(settings, state):
    missing = SharedState(DynamoRows(client("dynamodb", settings), SHARED, "nowhere", timeout_s=5), scope="local")
    with pytest.raises(StoreError, match="omni up"):
        missing.get("a", "b")
    with pytest.raises(StoreError, match="omni up"):
        missing.put("a", "b", "c")
