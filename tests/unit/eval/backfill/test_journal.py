"""What is on disk is what happened: a kill after any line loses no row, and charges what was in flight at its bound."""

import json
from decimal import Decimal

from hypothesis import given, settings
from hypothesis import strategies as st

from eval.backfill.journal import BackfillJournal, rows_of
from eval.backfill.work import WorkItem

ITEMS = [WorkItem(id=f"r{n}", inputs={}) for n in range(7)]
ONE = Decimal("0.01")


def row(item, cost="0.002"):
    return {"id": item.id, "output": "ein\u2028Text", "failure": None, "cost_usd": cost}


def test_rows_of_unfinished_chunks_survive_and_chunks_are_whole(tmp_path):
    book = BackfillJournal.open(tmp_path, ITEMS, 3)
    for item in (ITEMS[0], ITEMS[4], ITEMS[1]):
        book.begin(item, ONE)
        book.end(row(item))
    book.close()
    again = BackfillJournal.open(tmp_path, ITEMS, 3)
    assert rows_of(tmp_path) == []
    assert (again.done, again.lost, again.spent_usd, again.reserved_usd) == (3, 0, Decimal("0.006"), 0)
    assert [item.id for item in again.left()] == ["r2", "r3", "r5", "r6"]
    again.begin(ITEMS[2], ONE)
    again.end(row(ITEMS[2]))
    again.close()
    assert [json.loads(line)["id"] for line in rows_of(tmp_path)] == ["r0", "r1", "r2"]


def test_what_was_in_flight_counts_at_its_bound_for_good(tmp_path):
    book = BackfillJournal.open(tmp_path, ITEMS, 3)
    book.begin(ITEMS[0], ONE)
    book.begin(ITEMS[1], ONE)
    assert book.reserved_usd == 2 * ONE
    book.lose("r0")
    assert (book.reserved_usd, book.spent_usd) == (ONE, ONE)
    book.close()
    for _ in range(2):  # opened twice, it is charged once
        again = BackfillJournal.open(tmp_path, ITEMS, 3)
        assert (again.lost, again.lost_usd, again.spent_usd, again.reserved_usd) == (2, 2 * ONE, 2 * ONE, 0)
        assert len(again.left()) == 7
        again.close()


def test_a_line_that_a_kill_cut_off_is_left_out(tmp_path):
    book = BackfillJournal.open(tmp_path, ITEMS, 3)
    book.begin(ITEMS[0], ONE)
    book.end(row(ITEMS[0]))
    book.close()
    path = tmp_path / "journal.jsonl"
    path.write_bytes(path.read_bytes()[:-9])
    again = BackfillJournal.open(tmp_path, ITEMS, 3)
    assert (again.done, again.lost) == (0, 1)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 6), st.sampled_from(["end", "lose", "kill"])), max_size=40))
def test_spent_is_what_rows_cost_and_lost_calls_may_have_cost(tmp_path_factory, steps):
    folder = tmp_path_factory.mktemp("journal")
    book = BackfillJournal.open(folder, ITEMS, 2)
    done, lost = set(), 0
    for at, what in steps:
        if at in done:
            continue
        book.begin(ITEMS[at], ONE)
        if what == "end":
            book.end(row(ITEMS[at]))
            done.add(at)
        else:
            lost += 1
            if what == "lose":
                book.lose(ITEMS[at].id)
            else:
                book.close()
                book = BackfillJournal.open(folder, ITEMS, 2)
        assert book.spent_usd == len(done) * Decimal("0.002") + lost * ONE
        assert book.reserved_usd == 0
        assert {item.id for item in book.left()} == {item.id for n, item in enumerate(ITEMS) if n not in done}
    book.close()
