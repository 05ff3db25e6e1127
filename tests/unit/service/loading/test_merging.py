"""Merging: all or nothing, idempotent, and with the same tables in whatever order objects arrive."""

import random
from datetime import timedelta

import loadable
import pytest
from empty_warehouse import empty_warehouse

from service.answers_kept.record import utc_text
from service.core.redaction.texts import TextRedactor
from service.loading.batch import prepare
from service.loading.merging import join_verdicts, merge_batch, oldest_moment
from service.loading.objects import Fetched
from service.warehouse.events import TABLES, LoadEvent, SummaryEvent


@pytest.fixture(autouse=True)
def account_key(monkeypatch):
    monkeypatch.setattr("service.kit.telemetry.fields._account_key", b"k" * 32)


class House:
    """A warehouse with the loader's steps around it."""

    def __init__(self, path, now):
        self.warehouse = empty_warehouse(path)
        self.now = now
        self.buried = []

    def load(self, *items):
        batch = prepare(items, self.now, TextRedactor())
        tally = merge_batch(self.warehouse, batch, self.now, bury=self.buried.extend)
        since = oldest_moment(batch)
        tally.verdicts = 0 if since is None else join_verdicts(self.warehouse, since)
        return tally

    def rows(self, table, columns="*"):
        return self.warehouse.query(f"SELECT {columns} FROM {table} ORDER BY 1, 2").to_dict("records")

    def everything(self):
        """All tables as text, in a fixed order."""
        return {
            event.table: self.warehouse.query(
                f"SELECT {', '.join(event.model_fields)} FROM {event.table} ORDER BY {', '.join(event.key)}"
            ).to_csv(index=False)
            for event in TABLES
        }


@pytest.fixture
def house(tmp_path):
    made = House(tmp_path / "one.duckdb", loadable.NOW)
    yield made
    made.warehouse.close()


def _verdicts(house):
    return {
        row["request_id"]: row["helpful_feedback"]
        for row in house.rows("omni_summaries", "request_id, helpful_feedback")
    }


def test_an_object_that_is_loaded_twice_has_one_row(house):
    items = [loadable.item(loadable.summary(n)) for n in range(3)]
    first = house.load(*items)
    before = house.everything()
    again = house.load(*items)
    assert (first.loaded, first.rows, first.repeated) == (3, 9, 0)
    assert (again.rows, again.repeated) == (0, 9)
    assert house.everything() == before


def test_a_copy_under_another_name_is_counted_and_changes_nothing(house):
    record = loadable.summary()
    house.load(loadable.item(record))
    before = house.rows("omni_summaries")
    tally = house.load(loadable.item(record, key="omni-channel/processed/copy of it.json"))
    assert (tally.loaded, tally.copies, tally.rows) == (1, 1, 0)
    assert house.rows("omni_summaries") == before
    assert [row["outcome"] for row in house.rows("omni_loads")] == ["duplicate", "loaded"]


def test_a_verdict_that_arrives_before_its_summary_is_copied_later(house):
    assert house.load(loadable.item(loadable.feedback())).verdicts == 0
    assert house.rows("omni_summaries") == []
    assert house.load(loadable.item(loadable.summary())).verdicts == 1
    assert _verdicts(house) == {"req-000001": "helpful"}


@pytest.mark.parametrize("order", [(0, 1, 2), (0, 2, 1), (1, 0, 2), (1, 2, 0), (2, 0, 1), (2, 1, 0)])
def test_of_two_verdicts_both_are_kept_and_the_newer_counts(house, order):
    items = [
        loadable.item(loadable.summary()),
        loadable.item(loadable.feedback(minutes=10, verdict="not_helpful")),
        loadable.item(loadable.feedback(minutes=20, verdict="helpful")),
    ]
    for place in order:
        house.load(items[place])
    assert _verdicts(house) == {"req-000001": "helpful"}
    assert [row["helpful_feedback"] for row in house.rows("omni_feedback")] == ["not_helpful", "helpful"]


@pytest.mark.parametrize("first", ["fb-a", "fb-b"])
def test_of_two_verdicts_of_one_moment_the_greater_id_counts(house, first):
    verdicts = {"fb-a": "helpful", "fb-b": "not_helpful"}
    house.load(loadable.item(loadable.summary()))
    for name in sorted(verdicts, key=lambda name: name != first):
        house.load(loadable.item(loadable.feedback(verdict=verdicts[name], feedback_id=name)))
    assert _verdicts(house) == {"req-000001": "not_helpful"}


def test_loading_a_summary_again_keeps_its_verdict(house):
    item = loadable.item(loadable.summary())
    house.load(item, loadable.item(loadable.feedback()))
    house.load(item)
    assert _verdicts(house) == {"req-000001": "helpful"}


def test_copying_a_verdict_changes_nothing_else(house):
    house.load(loadable.item(loadable.summary()))
    columns = [name for name in SummaryEvent.model_fields if "feedback" not in name]
    before = house.rows("omni_summaries", ", ".join(columns))
    house.load(loadable.item(loadable.feedback()))
    assert house.rows("omni_summaries", ", ".join(columns)) == before
    assert join_verdicts(house.warehouse) == 0


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
@pytest.mark.parametrize("together", [True, False])
def test_of_two_requests_in_one_millisecond_one_is_dead(house, order, together):
    one = loadable.summary(1)
    other = loadable.summary(2, contact_id=one.contact_id, generated_at=one.generated_at)
    items = [loadable.item(one), loadable.item(other)]
    tallies = [house.load(*(items[place] for place in order))] if together else [house.load(items[p]) for p in order]
    assert [row["request_id"] for row in house.rows("omni_summaries", "request_id, contact_id")] == ["req-000002"]
    assert sum(tally.dead["collision"] for tally in tallies) == 1
    assert [dead.key for dead in house.buried] == [one.object_key]
    assert {row["object_key"]: row["outcome"] for row in house.rows("omni_loads")} == {
        one.object_key: "dead",
        other.object_key: "loaded",
    }


@pytest.mark.slow
def test_the_same_objects_in_another_order_give_the_same_tables(tmp_path):
    summaries = [loadable.summary(n) for n in range(12)]
    collided = loadable.summary(40, contact_id="c-3", generated_at=summaries[3].generated_at)
    items = [loadable.item(one) for one in (*summaries, collided, loadable.release(1), loadable.release(2))]
    items += [loadable.item(loadable.feedback(n, minutes=m, verdict=v, of=summaries[n]))
              for n in range(8) for m, v in ((5, "helpful"), (6, "not_helpful" if n % 2 else "helpful"))]  # fmt: skip
    items.append(loadable.item(summaries[5], key="omni-channel/processed/copy.json"))
    items.append(Fetched(key="omni-channel/processed/half.json", etag="e", body=b'{"unique'))
    seen = []
    for seed in range(4):
        house = House(tmp_path / f"{seed}.duckdb", loadable.NOW)
        shuffled = random.Random(seed).sample(items, len(items))
        size = (1, 5, 7, 40)[seed]
        for start in range(0, len(shuffled), size):
            house.load(*shuffled[start : start + size])
        seen.append(house.everything())
        house.warehouse.close()
    assert seen[1:] == seen[:1] * 3
    assert len(seen[0]["omni_summaries"].splitlines()) == 1 + 12


def test_a_failed_batch_leaves_no_rows(house, monkeypatch):
    real = house.warehouse.merge

    def failing(event, rows):
        if event is LoadEvent:
            raise KeyboardInterrupt
        return real(event, rows)

    monkeypatch.setattr(house.warehouse, "merge", failing)
    with pytest.raises(KeyboardInterrupt):
        house.load(loadable.item(loadable.summary()))
    assert house.rows("omni_summaries") == []
    assert house.rows("omni_summary_interactions") == []


def test_a_withheld_text_is_counted_and_its_reason_kept(house):
    account = loadable.summary(2).account_number
    record = loadable.summary(
        2, summary=f"It is {'x'.join(account)}"
    )  # no pattern's number, and still the account's digits
    tally = house.load(loadable.item(loadable.summary(1)), loadable.item(record))
    assert (tally.loaded, tally.withheld, tally.dead) == (2, 1, {})
    loads = house.rows("omni_loads", "object_key, outcome, reason")
    assert [row["outcome"] for row in loads] == ["loaded", "loaded"]
    assert [row["reason"] for row in loads if row["object_key"] == record.object_key] == [
        "withheld: the account number is still in the text after redaction"
    ]
    assert [row["summary_text"] for row in house.rows("omni_summaries", "contact_id, summary_text")][1] == "[withheld]"


def test_dead_letters_are_written_before_the_transaction_ends(house):
    def refuse(dead):
        raise OSError("no bucket")

    batch = prepare(
        [loadable.item(loadable.summary()), Fetched(key="omni-channel/processed/x", etag="", body=b"")],
        loadable.NOW,
        TextRedactor(),
    )
    with pytest.raises(OSError, match="no bucket"):
        merge_batch(house.warehouse, batch, loadable.NOW, bury=refuse)
    assert house.rows("omni_loads") == []


def test_many_distinct_times_are_queried_as_one_range(house):
    first = loadable.summary(0)
    house.load(loadable.item(first))
    many = [
        loadable.summary(n, request_id=f"a-{n}", contact_id="c-0", generated_at=utc_text(
            loadable.NOW - timedelta(hours=2) + timedelta(milliseconds=n)))
        for n in range(1200)
    ]  # fmt: skip
    tally = house.load(*(loadable.item(one) for one in many))
    # Of the two requests in the same millisecond, the second has the smaller request id.
    assert tally.dead == {"collision": 1}
    assert len(house.rows("omni_summaries", "request_id, contact_id")) == 1200
