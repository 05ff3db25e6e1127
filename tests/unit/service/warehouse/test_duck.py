"""The embedded warehouse: merging, transactions, versions of the file, locks, and rows that it refuses."""

import subprocess
import sys
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import duckdb
import pyarrow as pa
import pytest
from empty_warehouse import empty_warehouse
from hypothesis import given, settings
from hypothesis import strategies as st

from service.kit.frame.errors import WarehouseBusy, WarehouseError
from service.kit.settings import REPO_ROOT, Settings
from service.warehouse import Merged, open_warehouse, schema
from service.warehouse.duck import DuckWarehouse
from service.warehouse.events import InteractionEvent, LoadEvent, PromiseEvent, SummaryEvent
from service.warehouse.rows import arrow_schema, to_table, without_doubles

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)


@pytest.fixture
def warehouse(tmp_path):
    opened = empty_warehouse(tmp_path / "w.duckdb")
    yield opened
    opened.close()


def load(key, etag="e", **changes):
    fields = {"kind": "summary", "outcome": "loaded", "reason": None, "row_count": 1, "loaded_at": NOW}
    return {"object_key": key, "etag": etag, **fields, **changes}


def loads(*rows):
    return to_table(LoadEvent, rows)


def contents(warehouse, table="omni_loads"):
    return warehouse.query(f"SELECT * FROM {table}").sort_values(list(LoadEvent.key)).to_dict("records")


SUMMARY = {
    name: {
        "string": "x",
        "bool": False,
        "int32": 1,
        "timestamp[us, tz=UTC]": NOW,
        "decimal128(20, 12)": Decimal("0.5"),
    }[str(arrow_schema(SummaryEvent).field(name).type)]
    for name in SummaryEvent.model_fields
} | {"helpful_feedback": None, "feedback_timestamp": None}


def summary(**changes):
    return SUMMARY | changes


def test_rows_are_inserted_replaced_or_already_there(warehouse):
    assert warehouse.merge(LoadEvent, loads(load("a"), load("b"), load("c"))) == Merged(inserted=3)
    assert warehouse.merge(LoadEvent, loads(load("a"), load("b", outcome="dead", reason="why"), load("d"))) == Merged(
        inserted=1, updated=1, unchanged=1
    )
    found = warehouse.query("SELECT object_key, outcome, reason FROM omni_loads ORDER BY 1")
    assert found["outcome"].tolist() == ["loaded", "dead", "loaded", "loaded"]
    assert warehouse.merge(LoadEvent, loads()) == Merged()


def test_a_value_that_becomes_none_is_a_change(warehouse):
    warehouse.merge(LoadEvent, loads(load("a", reason="why")))
    assert warehouse.merge(LoadEvent, loads(load("a"))) == Merged(updated=1)
    assert warehouse.merge(LoadEvent, loads(load("a"))) == Merged(unchanged=1)


def test_of_two_rows_with_one_key_in_one_merge_the_later_stays(warehouse):
    rows = loads(load("a", row_count=1), load("b"), load("a", row_count=2))
    assert warehouse.merge(LoadEvent, rows) == Merged(inserted=2, unchanged=1)
    assert warehouse.query("SELECT row_count FROM omni_loads WHERE object_key = 'a'")["row_count"].tolist() == [2]


def test_every_column_type_survives_a_round_trip(warehouse):
    row = summary(cost_usd=Decimal("0.000000008750"), helpful_feedback="helpful", feedback_timestamp=NOW, degraded=True)
    warehouse.merge(SummaryEvent, to_table(SummaryEvent, [row]))
    promise = {
        "task": "t",
        "environment": "aws",
        "sequence": 1,
        "pair_digest": "d",
        "metric": "m",
        "n": 3,
        "unit": "share",
    }
    warehouse.merge(PromiseEvent, to_table(PromiseEvent, [promise | {"value": 0.25}]))
    found = warehouse.query("SELECT * FROM omni_summaries").iloc[0]
    assert list(found.index) == list(SummaryEvent.model_fields)
    assert (found["cost_usd"], found["degraded"], found["latency_ms"]) == (8.75e-9, True, 1)
    assert found["generation_timestamp"].to_pydatetime() == NOW
    assert warehouse.query("SELECT value, low, n FROM omni_promises").to_dict("records")[0]["value"] == 0.25
    exact = warehouse.query("SELECT cost_usd::VARCHAR AS c FROM omni_summaries")["c"].tolist()
    assert [Decimal(text) for text in exact] == [Decimal("0.000000008750")]


def test_loading_an_object_again_keeps_its_verdict(warehouse):
    rated = summary(helpful_feedback="helpful", feedback_timestamp=NOW)
    warehouse.merge(SummaryEvent, to_table(SummaryEvent, [rated]))
    assert warehouse.merge(SummaryEvent, to_table(SummaryEvent, [summary()])) == Merged(unchanged=1)
    later = summary(helpful_feedback="not_helpful", feedback_timestamp=NOW + timedelta(seconds=1))
    assert warehouse.merge(SummaryEvent, to_table(SummaryEvent, [later, rated])) == Merged(updated=1, unchanged=1)
    assert warehouse.query("SELECT helpful_feedback AS h FROM omni_summaries")["h"].tolist() == ["not_helpful"]


STAMPS = st.sampled_from([None, NOW, NOW + timedelta(seconds=1)])
# Rows with an equal key and equal preference are equal, because a loader has one row per state of an object.
BATCHES = st.lists(
    st.lists(st.builds(lambda c, r, f: (c, r, f), st.sampled_from("ab"), st.sampled_from("xyz"), STAMPS), max_size=6),
    max_size=5,
)


def batch_table(batch):
    rows = [
        summary(
            contact_id=contact,
            request_id=request,
            feedback_timestamp=rated_at,
            helpful_feedback=None if rated_at is None else "helpful",
            summary_text=f"{contact}{request}{rated_at}",
        )
        for contact, request, rated_at in batch
    ]
    return to_table(SummaryEvent, rows)


@pytest.mark.slow
@settings(max_examples=15)
@given(batches=BATCHES, data=st.data())
def test_order_and_repetition_of_merges_change_nothing(tmp_path_factory, batches, data):
    repeated = [*batches, *data.draw(st.lists(st.sampled_from(batches), max_size=3))] if batches else []
    other = [data.draw(st.permutations(batch)) for batch in data.draw(st.permutations(repeated))]
    found = []
    for run in (batches, other):
        opened = empty_warehouse(tmp_path_factory.mktemp("w") / "w.duckdb")
        counted = [opened.merge(SummaryEvent, batch_table(batch)) for batch in run]
        for merged, batch in zip(counted, run, strict=True):
            assert merged.inserted + merged.updated + merged.unchanged == len(batch)
        frame = opened.query("SELECT * FROM omni_summaries ORDER BY contact_id, generation_timestamp")
        assert sum(merged.inserted for merged in counted) == len(frame)
        found.append(frame.to_csv())
        opened.close()
    assert found[0] == found[1]
    best = {}
    for contact, request, rated_at in (row for batch in batches for row in batch):
        best[contact] = max(best.get(contact, ("",)), (request, "" if rated_at is None else rated_at.isoformat()))
    assert [line.count("\n") for line in found[:1]] == [len(best) + 1]
    for contact, (request, _) in best.items():
        assert f"{contact}{request}" in found[0]


@settings(max_examples=50)
@given(
    batch=st.lists(
        st.builds(lambda c, r, f: (c, r, f), st.sampled_from("ab"), st.sampled_from("xyz"), STAMPS), max_size=8
    )
)
def test_both_engines_choose_the_same_row_of_one_key(batch):
    kept = without_doubles(SummaryEvent, batch_table(batch)).to_pylist()
    least = datetime.min.replace(tzinfo=UTC)
    for row in kept:
        same = [item for item in batch if item[0] == row["contact_id"]]
        assert max((r, f or least) for _, r, f in same) == (row["request_id"], row["feedback_timestamp"] or least)
    assert len(kept) == len({contact for contact, _, _ in batch})


def test_a_transaction_is_all_or_nothing(warehouse):
    def half_way():
        with warehouse.transaction():
            warehouse.merge(LoadEvent, loads(load("a")))
            with warehouse.transaction():
                warehouse.merge(LoadEvent, loads(load("b")))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        half_way()
    assert len(contents(warehouse)) == 0
    with warehouse.transaction():
        warehouse.merge(LoadEvent, loads(load("a")))
        warehouse.merge(LoadEvent, loads(load("a", row_count=3)))
    assert [row["row_count"] for row in contents(warehouse)] == [3]


def test_rows_that_do_not_fit_change_nothing_and_are_not_quoted(warehouse):
    good = loads(load("a"))
    with pytest.raises(WarehouseError, match=r"other columns.*etag, size"):
        warehouse.merge(
            LoadEvent, good.rename_columns([name if name != "etag" else "size" for name in good.column_names])
        )
    missing = pa.Table.from_pylist([load("secret-key", kind=None)])
    with pytest.raises(WarehouseError, match=r"omni_loads do not fit: omni_loads.kind is missing") as refused:
        warehouse.merge(LoadEvent, missing)
    wrong = pa.Table.from_pylist([load("a", row_count="secret-text")])
    with pytest.raises(WarehouseError, match="do not fit") as also:
        warehouse.merge(LoadEvent, wrong)
    assert "secret" not in f"{refused.value}{also.value}"
    assert len(contents(warehouse)) == 0
    with pytest.raises(WarehouseError, match=r"omni_loads.row_count: a value is not int32"):
        to_table(LoadEvent, [load("a", row_count="x")])
    with pytest.raises(WarehouseError, match="no column size"):
        to_table(LoadEvent, [load("a", size=1)])


def test_column_order_of_the_rows_does_not_matter(warehouse):
    rows = loads(load("a", etag="tag"))
    warehouse.merge(LoadEvent, rows.select(list(reversed(rows.column_names))))
    assert contents(warehouse)[0]["etag"] == "tag"


def with_migrations(folder, count):
    (folder / "migrations").mkdir(parents=True, exist_ok=True)
    (folder / "views").mkdir(exist_ok=True)
    texts = [
        "CREATE TABLE omni_loads (object_key VARCHAR(10) NOT NULL SORTKEY);",
        "ALTER TABLE omni_loads ADD COLUMN size INTEGER ENCODE AZ64; CREATE TABLE extra (x SUPER);",
    ]
    for number, text in enumerate(texts[:count], 1):
        (folder / "migrations" / f"000{number}_x.sql").write_text(text, encoding="utf-8")
    return folder


def test_an_older_file_is_migrated_and_a_newer_one_refused(tmp_path):
    path, old, new = tmp_path / "w.duckdb", with_migrations(tmp_path / "old", 1), with_migrations(tmp_path / "new", 2)
    first = DuckWarehouse(path, sql_folder=old)
    first.migrate()
    first.close()
    with duckdb.connect(str(path)) as plain:
        plain.execute("INSERT INTO omni_loads VALUES ('kept')")
    with pytest.raises(WarehouseError, match=r"schema 1 .* needs 2: .*migrates"):
        DuckWarehouse(path, sql_folder=new, read_only=True)
    for _ in range(2):
        again = DuckWarehouse(path, sql_folder=new)
        again.migrate()
        assert again.query("SELECT object_key, size FROM omni_loads").iloc[0].tolist()[0] == "kept"
        assert len(again.query("SELECT x FROM extra")) == 0
        again.close()
    for read_only in (False, True):
        with pytest.raises(WarehouseError, match=r"schema 2 .* knows 1: update the program.*OMNI_WAREHOUSE_PATH"):
            DuckWarehouse(path, sql_folder=old, read_only=read_only)
    DuckWarehouse(path, sql_folder=new).close()  # the refused ones let go of the file


def test_a_migration_that_fails_leaves_the_old_version(tmp_path):
    path, folder = tmp_path / "w.duckdb", with_migrations(tmp_path / "sql", 1)
    first = DuckWarehouse(path, sql_folder=folder)
    first.migrate()
    first.close()
    text = "ALTER TABLE omni_loads ADD COLUMN size INTEGER; ALTER TABLE gone ADD COLUMN size INTEGER"
    (folder / "migrations" / "0002_x.sql").write_text(text, encoding="utf-8")
    second = DuckWarehouse(path, sql_folder=folder)
    with pytest.raises(WarehouseError, match=r"0002_x.*gone"):
        second.migrate()
    assert list(second.query("SELECT * FROM omni_loads").columns) == ["object_key"]
    second.close()


_HOLDER = """
import sys, duckdb
held = duckdb.connect(sys.argv[1], read_only=sys.argv[2] == "read")
print("held", flush=True)
sys.stdin.read()
"""


@pytest.mark.parametrize(
    ("held", "read_only", "whom"),
    [("write", False, "another process"), ("write", True, "the loader"), ("read", False, "readers")],
)
def test_a_held_file_is_busy_and_says_what_to_do(tmp_path, held, read_only, whom):
    path = tmp_path / "w.duckdb"
    first = empty_warehouse(path)
    first.close()
    with subprocess.Popen(
        [sys.executable, "-c", _HOLDER, str(path), held], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(WarehouseBusy, match=f"{path.name}.*wait for") as busy:
            DuckWarehouse(path, read_only=read_only, wait_s=0.2)
        assert whom in str(busy.value) or held == "write"
        assert str(path) in str(busy.value)
        assert str(holder.pid) in str(busy.value)
        holder.stdin.close()
    DuckWarehouse(path, wait_s=5).close()


def test_readers_read_beside_each_other(tmp_path):
    path = tmp_path / "w.duckdb"
    first = empty_warehouse(path)
    first.close()
    one, two = (DuckWarehouse(path, read_only=True) for _ in range(2))
    assert one.query("SELECT COUNT(*) AS n FROM omni_loads")["n"].tolist() == [0]
    assert two.query("SELECT COUNT(*) AS n FROM omni_loads")["n"].tolist() == [0]
    with pytest.raises(WarehouseError, match="opened read-only"):
        one.merge(LoadEvent, loads(load("a")))
    one.close()
    two.close()


def test_a_missing_or_foreign_file_is_named_in_the_error(tmp_path):
    with pytest.raises(WarehouseError, match=r"no warehouse at .*load events"):
        DuckWarehouse(tmp_path / "none.duckdb", read_only=True)
    (tmp_path / "text.duckdb").write_text("not a database" * 400, encoding="utf-8")
    with pytest.raises(WarehouseError, match=r"text.duckdb cannot be opened"):
        DuckWarehouse(tmp_path / "text.duckdb")


def test_the_settings_choose_file_memory_and_threads(tmp_path):
    opened = open_warehouse(Settings(state_dir=tmp_path, warehouse_memory_mb=300, warehouse_threads=1))
    opened.migrate()
    opened.close()
    assert (tmp_path / "warehouse" / "omni.duckdb").is_file()
    elsewhere = Settings(state_dir=tmp_path, warehouse_path=tmp_path / "x" / "y.duckdb")
    open_warehouse(elsewhere).close()
    assert elsewhere.warehouse_file.is_file()


def test_memory_is_bounded(tmp_path):
    opened = DuckWarehouse(tmp_path / "w.duckdb", memory_mb=300, threads=1)
    ((limit, threads),) = opened._run("SELECT current_setting('memory_limit'), current_setting('threads')")
    opened.close()
    assert (limit, threads) == ("286.1 MiB", 1)


def test_a_large_merge_counts_right(warehouse):
    n = 20_000
    columns = {
        "request_id": pa.array([f"r{number // 4}" for number in range(n)]),
        "contact_id": pa.array(["c"] * n),
        "account_number": pa.array(["a"] * n),
        "generation_timestamp": pa.array([NOW] * n, pa.timestamp("us", "UTC")),
        "position": pa.array([number % 4 for number in range(n)], pa.int32()),
        "channel": pa.array(["ivr"] * n),
        "interaction_timestamp": pa.array([NOW] * n, pa.timestamp("us", "UTC")),
        "intent": pa.array(["billing"] * n),
    }
    table = pa.table(columns)
    assert warehouse.merge(InteractionEvent, table) == Merged(inserted=n)
    changed = table.set_column(7, "intent", pa.array(["outage" if number < 5 else "billing" for number in range(n)]))
    assert warehouse.merge(InteractionEvent, changed) == Merged(updated=5, unchanged=n - 5)


def test_the_sql_files_are_in_the_repository():
    assert schema.SQL_FOLDER == REPO_ROOT / "infra" / "warehouse"
    assert [name for name, _ in schema.views()][:1] == ["v_summaries_interactions"]
