from eval.run.journal import Journal


def test_an_unfinished_run_is_taken_up_under_its_own_id(tmp_path):
    first, resumed = Journal(tmp_path, clock=lambda: 1_000_000.0).open("key")
    assert not resumed
    again, resumed = Journal(tmp_path, clock=lambda: 2_000_000.0).open("key")
    assert resumed
    assert again == first


def test_a_finished_run_is_not_taken_up(tmp_path):
    journal = Journal(tmp_path, clock=lambda: 1_000_000.0)
    first, _ = journal.open("key")
    journal.finish(first)
    second, resumed = Journal(tmp_path, clock=lambda: 2_000_000.0).open("key")
    assert not resumed
    assert second.run_id > first.run_id


def test_another_key_is_another_run(tmp_path):
    journal = Journal(tmp_path)
    first, _ = journal.open("key")
    other, resumed = journal.open("other")
    assert not resumed
    assert other.run_id != first.run_id


def test_a_damaged_record_is_passed_over(tmp_path):
    journal = Journal(tmp_path)
    record, _ = journal.open("key")
    (tmp_path / f"{record.run_id}.json").write_text("{", encoding="utf-8")
    _, resumed = journal.open("key")
    assert not resumed
