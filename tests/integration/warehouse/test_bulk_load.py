"""Files of many objects: the same rows as from single objects, idempotent, complete after an interruption."""

from contextlib import closing
from functools import partial

import loadable
import pytest

from service.core.redaction.texts import TextRedactor
from service.kit.frame.errors import ConfigurationError
from service.loading.batch import prepare
from service.loading.bulk import BulkLoader
from service.loading.merging import join_verdicts, merge_batch
from service.warehouse.duck import DuckWarehouse
from service.warehouse.events import EVENTS

KEY = b"k" * 32


@pytest.fixture(autouse=True)
def account_key(monkeypatch):
    monkeypatch.setattr("service.kit.telemetry.fields._account_key", KEY)


@pytest.fixture
def records():
    summaries = [loadable.summary(n) for n in range(40)]
    return summaries, [loadable.feedback(n, of=summaries[n]) for n in range(0, 40, 3)]


def _write(path, records):
    path.write_text("".join(record.model_dump_json() + "\n" for record in records))


def _loader(path, now, **changes):
    return BulkLoader(
        open_warehouse=partial(DuckWarehouse, path),
        account_key=KEY,
        redactor=TextRedactor,
        processes=2,
        chunk_lines=7,
        now=lambda: now,
        **changes,
    )


def _tables(path):
    with closing(DuckWarehouse(path, read_only=True)) as warehouse:
        return [
            warehouse.query(f"SELECT {', '.join(e.model_fields)} FROM {e.table} ORDER BY {', '.join(e.key)}").to_csv()
            for e in EVENTS
        ]


@pytest.mark.slow
def test_a_file_gives_the_same_rows_as_single_objects_and_only_once(tmp_path, records):
    summaries, feedback = records
    folder = tmp_path / "events"
    folder.mkdir()
    _write(folder / "a.jsonl", [*summaries[:20], *feedback])
    _write(folder / "b.jsonl", [*summaries[20:], loadable.release()])
    with (folder / "b.jsonl").open("a") as file:
        file.write('{"cut\n')
    loader = _loader(tmp_path / "bulk.duckdb", loadable.NOW)
    tally, timings = loader.load(folder)
    assert (tally.loaded, dict(tally.dead), timings.lines) == (55, {"not_json": 1}, 56)

    with closing(DuckWarehouse(tmp_path / "single.duckdb")) as single:
        single.migrate()
        for record in (*summaries, *feedback, loadable.release()):
            merge_batch(
                single,
                prepare([loadable.item(record)], loadable.NOW, TextRedactor()),
                loadable.NOW,
                bury=lambda dead: None,
            )
        join_verdicts(single)
    before = _tables(tmp_path / "bulk.duckdb")
    assert before == _tables(tmp_path / "single.duckdb")
    with closing(DuckWarehouse(tmp_path / "bulk.duckdb", read_only=True)) as warehouse:
        dead = warehouse.query("SELECT object_key, reason FROM omni_loads WHERE outcome = 'dead'")
    assert dead["object_key"].tolist() == ["bulk/b.jsonl#22"]

    again, _ = loader.load(folder)
    assert (again.known, again.loaded) == (2, 0)
    assert _tables(tmp_path / "bulk.duckdb") == before


@pytest.mark.slow
def test_an_interrupted_load_is_finished_by_the_next(tmp_path, records):
    summaries, feedback = records
    file = tmp_path / "all.jsonl"
    _write(file, [*feedback, *summaries])

    def stop(*_):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        _loader(tmp_path / "w.duckdb", loadable.NOW, report=stop).load(file)
    tally, _ = _loader(tmp_path / "w.duckdb", loadable.NOW).load(file)
    assert tally.loaded == 54
    assert tally.repeated > 0
    with closing(DuckWarehouse(tmp_path / "w.duckdb", read_only=True)) as warehouse:
        found = warehouse.query("SELECT COUNT(*) AS n, COUNT(helpful_feedback) AS f FROM omni_summaries")
    assert found.to_dict("records") == [{"n": 40, "f": 14}]


def test_a_folder_without_files_is_named(tmp_path):
    with pytest.raises(ConfigurationError, match=r"no \*.jsonl file"):
        _loader(tmp_path / "w.duckdb", loadable.NOW).load(tmp_path)
