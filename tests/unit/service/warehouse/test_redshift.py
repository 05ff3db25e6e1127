"""The Data API engine against botocore's own service model: a stubbed client checks the names and types of every call."""

import io
from datetime import UTC, date, datetime
from decimal import Decimal

import boto3
import pyarrow.parquet as pq
import pytest
import sqlglot
from botocore.stub import ANY, Stubber

from service.kit.frame.errors import QueryRefused, WarehouseBusy, WarehouseError
from service.kit.settings import Settings
from service.warehouse import Merged, open_warehouse, schema
from service.warehouse.ddl import statements
from service.warehouse.events import TABLES, LoadEvent, SummaryEvent
from service.warehouse.redshift import RedshiftWarehouse, _count, _drop_unchanged, _merge
from service.warehouse.rows import arrow_schema, to_table

TARGET = {"Database": "omni", "WorkgroupName": "insights"}
NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
ROLE = "arn:aws:iam::123456789012:role/copy"
LOAD = {
    "object_key": "k",
    "etag": "e",
    "kind": "summary",
    "outcome": "loaded",
    "reason": None,
    "row_count": 1,
    "loaded_at": NOW,
}


class Redshift:
    """A warehouse over stubbed clients; ``stub`` expects calls in their order, ``slept`` holds the waits."""

    def __init__(self, **changes):
        keys = {"region_name": "us-east-1", "aws_access_key_id": "x", "aws_secret_access_key": "x"}
        data, s3 = boto3.client("redshift-data", **keys), boto3.client("s3", **keys)
        self.stub, self.bucket = Stubber(data), Stubber(s3)
        self.stub.activate()
        self.bucket.activate()
        self.slept, self.ids, self.uploaded = [], iter("abcdefgh"), {}
        s3.meta.events.register("provide-client-params.s3.PutObject", self._upload)
        settings = Settings(redshift_workgroup="insights", redshift_copy_role=ROLE, archive_bucket="archive", **changes)
        self.warehouse = RedshiftWarehouse(
            data, s3, settings, sleep=self.slept.append, clock=lambda: sum(self.slept), ids=lambda: next(self.ids)
        )

    def _upload(self, params, **_):
        self.uploaded[params["Key"]] = params["Body"]

    def batch(self, *sqls, statuses=("FINISHED",), target=TARGET, error=None):
        self.stub.add_response("batch_execute_statement", {"Id": "batch-1"}, {**target, "Sqls": list(sqls)})
        self.describe("batch-1", *statuses, error=error)

    def describe(self, statement, *statuses, error=None):
        for status in statuses:
            answer = {"Id": statement, "Status": status} | ({"Error": error} if error and status == "FAILED" else {})
            self.stub.add_response("describe_statement", answer, {"Id": statement})

    def execute(self, sql, columns, *pages, parameters=None):
        expected = {**TARGET, "Sql": sql} | ({"Parameters": parameters} if parameters else {})
        self.stub.add_response("execute_statement", {"Id": "query-1"}, expected)
        self.describe("query-1", "SUBMITTED", "STARTED", "FINISHED")
        self.results("query-1", columns, *pages)

    def results(self, statement, columns, *pages):
        for number, records in enumerate(pages):
            more = {"NextToken": f"page-{number + 1}"} if number + 1 < len(pages) else {}
            answer = {
                "ColumnMetadata": [{"name": name, "typeName": kind} for name, kind in columns],
                "Records": records,
                **more,
            }
            before = {"NextToken": f"page-{number}"} if number else {}
            self.stub.add_response("get_statement_result", answer, {"Id": statement, **before})

    def staged(self, event, name, changes, known):
        copy = schema.copy_statement(event.table)
        source = f"s3://archive/omni-channel/warehouse-staging/{event.table}/{name}.parquet"
        (copy,) = statements(copy.format(target=name, source=source, role=f"'{ROLE}'"))
        self.bucket.add_response(
            "put_object", {}, {"Bucket": "archive", "Key": source.removeprefix("s3://archive/"), "Body": ANY}
        )
        self.batch(f"CREATE TABLE {name} (LIKE {event.table})", copy, _drop_unchanged(event, name), _count(event, name))
        self.results(
            "batch-1:4", [("changes", "int8"), ("known", "int8")], [[{"longValue": changes}, {"longValue": known}]]
        )

    def done(self):
        self.stub.assert_no_pending_responses()
        self.bucket.assert_no_pending_responses()


@pytest.fixture
def redshift():
    return Redshift()


def test_a_query_is_sent_as_it_is_written_and_its_pages_are_one_frame(redshift):
    sql = "SELECT pair, n FROM v WHERE day >= :since AND pair = :pair"
    columns = [
        ("pair", "varchar"), ("N", "int8"), ("rate", "float8"), ("cost", "numeric"), ("ok", "bool"), ("day", "date"),
        ("at", "timestamptz"), ("local", "timestamp"), ("n", "int4"),
    ]  # fmt: skip
    full = [
        {"stringValue": "p1"}, {"longValue": 3}, {"doubleValue": 0.5}, {"stringValue": "0.000200"}, {"booleanValue": True},
        {"stringValue": "2026-11-16"}, {"stringValue": "2026-11-16 10:00:00.5+00"}, {"stringValue": "2026-11-16 10:00:00"},
        {"longValue": 7},
    ]  # fmt: skip
    empty = [{"isNull": True}] * len(columns)
    given = [{"name": "since", "value": "2026-11-16T00:00:00+00:00"}, {"name": "pair", "value": "p1"}]
    redshift.execute(sql, columns, [full], [empty], parameters=given)
    frame = redshift.warehouse.query(f"{sql};", {"since": datetime(2026, 11, 16, tzinfo=UTC), "pair": "p1"})
    redshift.done()
    assert list(frame.columns) == ["pair", "n", "rate", "cost", "ok", "day", "at", "local", "n_9"]
    assert frame.iloc[0].tolist()[:5] == ["p1", 3, 0.5, 0.0002, True]
    assert [frame[name].iloc[0].isoformat() for name in ("day", "at", "local")] == [
        "2026-11-16T00:00:00",
        "2026-11-16T10:00:00.500000+00:00",
        "2026-11-16T10:00:00",
    ]
    assert frame.iloc[1].isna().all()
    assert str(frame["n"].dtype) == "Int64"
    assert redshift.slept == [0.1, 0.2]


def test_an_empty_result_has_its_columns(redshift):
    redshift.execute("SELECT 1 AS a", [("a", "int4")], [])
    frame = redshift.warehouse.query("SELECT 1 AS a")
    assert (list(frame.columns), len(frame)) == (["a"], 0)


@pytest.mark.parametrize(
    "sql",
    ["DROP TABLE omni_summaries", "SELECT 1; SELECT 2", "SELECT a INTO b FROM c", "UNLOAD ('SELECT 1') TO 's3://b'"],
)
def test_a_text_that_is_no_query_is_not_sent(redshift, sql):
    with pytest.raises(QueryRefused):
        redshift.warehouse.query(sql)
    redshift.done()


@pytest.mark.parametrize(
    ("value", "text"),
    [("x", "x"), (True, "true"), (3, "3"), (0.5, "0.5"), (Decimal("0.10"), "0.10"), (NOW, "2026-11-21T12:00:00+00:00"), (date(2026, 1, 2), "2026-01-02")],
)  # fmt: skip
def test_parameters_are_texts(redshift, value, text):
    redshift.execute("SELECT :a AS a", [("a", "varchar")], [], parameters=[{"name": "a", "value": text}])
    redshift.warehouse.query("SELECT :a AS a", {"a": value})
    redshift.done()


@pytest.mark.parametrize("value", [None, "", b"x", ["x"]])
def test_parameters_that_cannot_be_sent_are_refused(redshift, value):
    with pytest.raises(QueryRefused, match=":a"):
        redshift.warehouse.query("SELECT :a AS a", {"a": value})


def test_a_redshift_error_is_one_line(redshift):
    redshift.stub.add_response("execute_statement", {"Id": "q"}, {**TARGET, "Sql": "SELECT x FROM y"})
    redshift.describe("q", "FAILED", error='ERROR: relation "y"\n does not exist')
    with pytest.raises(QueryRefused, match=r'^ERROR: relation "y" does not exist$'):
        redshift.warehouse.query("SELECT x FROM y")


def test_a_statement_that_takes_too_long_is_cancelled():
    redshift = Redshift(redshift_timeout_s=1.0)
    redshift.stub.add_response("execute_statement", {"Id": "q"}, {**TARGET, "Sql": "SELECT 1 AS a"})
    redshift.describe("q", *["STARTED"] * 5)
    redshift.stub.add_response("cancel_statement", {"Status": True}, {"Id": "q"})
    with pytest.raises(WarehouseError, match=r"1 s.*cancelled"):
        redshift.warehouse.query("SELECT 1 AS a")
    redshift.done()
    assert redshift.slept == [0.1, 0.2, 0.4, 0.8]


def test_errors_of_the_data_api_become_warehouse_errors(redshift):
    redshift.stub.add_client_error("execute_statement", "ActiveStatementsExceededException", "too many")
    with pytest.raises(WarehouseBusy, match="wait"):
        redshift.warehouse.query("SELECT 1 AS a")
    redshift.stub.add_client_error("execute_statement", "ValidationException", "no such workgroup")
    with pytest.raises(WarehouseError, match=r"execute_statement \(ValidationException\).*no such workgroup"):
        redshift.warehouse.query("SELECT 1 AS a")


def test_a_merge_stages_counts_and_merges(redshift):
    name = "omni_loads_a"
    redshift.staged(LoadEvent, name, changes=2, known=1)
    redshift.batch(_drop_unchanged(LoadEvent, name), _merge(LoadEvent, name))
    redshift.batch(f"DROP TABLE IF EXISTS {name}")
    rows = [
        LOAD,
        LOAD | {"object_key": "l"},
        LOAD | {"object_key": "m", "row_count": 1},
        LOAD | {"object_key": "m", "row_count": 2},
    ]
    assert redshift.warehouse.merge(LoadEvent, to_table(LoadEvent, rows)) == Merged(inserted=1, updated=1, unchanged=2)
    redshift.done()
    (body,) = redshift.uploaded.values()
    written = pq.read_table(io.BytesIO(body))
    assert written.schema.equals(arrow_schema(LoadEvent))
    assert [(row["object_key"], row["row_count"]) for row in written.to_pylist()] == [("k", 1), ("l", 1), ("m", 2)]


def test_a_transaction_is_one_batch(redshift):
    for name in ("omni_loads_a", "omni_loads_b"):
        redshift.staged(LoadEvent, name, changes=1, known=0)
    work = [make(LoadEvent, name) for name in ("omni_loads_a", "omni_loads_b") for make in (_drop_unchanged, _merge)]
    redshift.batch(*work)
    redshift.batch("DROP TABLE IF EXISTS omni_loads_a", "DROP TABLE IF EXISTS omni_loads_b")
    with redshift.warehouse.transaction(), redshift.warehouse.transaction():
        for _ in range(2):
            assert redshift.warehouse.merge(LoadEvent, to_table(LoadEvent, [LOAD])) == Merged(inserted=1)
    redshift.done()


def test_a_failed_transaction_merges_nothing_and_drops_its_staging_tables(redshift):
    redshift.staged(LoadEvent, "omni_loads_a", changes=1, known=0)
    redshift.batch("DROP TABLE IF EXISTS omni_loads_a")

    def half_way():
        with redshift.warehouse.transaction():
            redshift.warehouse.merge(LoadEvent, to_table(LoadEvent, [LOAD]))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        half_way()
    redshift.done()


def test_rows_that_do_not_fit_are_never_staged(redshift):
    rows = to_table(LoadEvent, [LOAD])
    with pytest.raises(WarehouseError, match=r"other columns.*size"):
        redshift.warehouse.merge(LoadEvent, rows.append_column("size", [[1]]))
    with pytest.raises(WarehouseError, match=r"omni_loads\.kind is missing"):
        redshift.warehouse.merge(LoadEvent, to_table(LoadEvent, [LOAD | {"kind": None}]))
    with pytest.raises(WarehouseError, match=r"omni_loads\.row_count holds string that is no int32") as refused:
        redshift.warehouse.merge(LoadEvent, rows.set_column(5, "row_count", [["many"]]))
    assert "many" not in str(refused.value)
    with pytest.raises(WarehouseError, match=r"omni_loads\.row_count holds list.* that is no int32"):
        redshift.warehouse.merge(LoadEvent, rows.set_column(5, "row_count", [[["many"]]]))
    assert redshift.warehouse.merge(LoadEvent, rows.slice(0, 0)) == Merged()
    redshift.done()


def test_migrating_sends_what_is_missing_as_one_transaction_each(redshift):
    noted = "CREATE TABLE IF NOT EXISTS omni_schema (version INTEGER NOT NULL, name VARCHAR(256) NOT NULL)"
    redshift.batch(*statements(schema.grants()), noted)
    redshift.execute(
        "SELECT COALESCE(MAX(version), 0) AS version FROM omni_schema", [("version", "int4")], [[{"longValue": 0}]]
    )
    for migration in schema.migrations():
        noted = f"INSERT INTO omni_schema VALUES ({migration.version}, '{migration.name}')"
        redshift.batch(*statements(migration.sql), noted)
    redshift.batch(*[statements(text)[0] for _, text in schema.views()])
    redshift.warehouse.migrate()
    redshift.done()
    assert any("WITH NO SCHEMA BINDING" in text for _, text in schema.views())


def test_a_newer_schema_is_refused(redshift):
    noted = "CREATE TABLE IF NOT EXISTS omni_schema (version INTEGER NOT NULL, name VARCHAR(256) NOT NULL)"
    redshift.batch(*statements(schema.grants()), noted)
    redshift.execute(
        "SELECT COALESCE(MAX(version), 0) AS version FROM omni_schema", [("version", "int4")], [[{"longValue": 99}]]
    )
    with pytest.raises(WarehouseError, match="schema 99"):
        redshift.warehouse.migrate()


@pytest.mark.parametrize("event", TABLES, ids=lambda event: event.table)
def test_the_statements_of_a_merge_are_valid_redshift_sql(event):
    for make in (_drop_unchanged, _count, _merge):
        tree = sqlglot.parse_one(make(event, "staged"), read="redshift")
        assert {table.name for table in tree.find_all(sqlglot.exp.Table)} == {"staged", event.table}


def test_prefer_decides_what_replaces_a_row():
    sql = _drop_unchanged(SummaryEvent, "s")
    assert "NVL(s.request_id > omni_summaries.request_id" in sql
    assert sql.index("s.request_id >") < sql.index("s.feedback_timestamp >")
    assert " IS DISTINCT FROM " not in sql


def test_the_settings_choose_redshift(tmp_path):
    cluster = Settings(
        state_dir=tmp_path,
        redshift_cluster="c-1",
        redshift_secret_arn="arn:aws:secretsmanager:x",
        aws_endpoint="http://127.0.0.1:9",
    )
    opened = open_warehouse(cluster)
    assert isinstance(opened, RedshiftWarehouse)
    assert opened._target == {"Database": "omni", "ClusterIdentifier": "c-1", "SecretArn": "arn:aws:secretsmanager:x"}
