"""The SQL under ``infra/warehouse/`` has the columns of ``service/warehouse/events.py``: names, order, types, nullability, keys."""

import types
from datetime import datetime
from decimal import Decimal
from typing import Literal, Union, get_args, get_origin

import duckdb
import pytest
import sqlglot
from sqlglot import exp

from service.kit.frame.errors import ConfigurationError, QueryRefused
from service.warehouse import schema
from service.warehouse.ddl import statements, table_to_duckdb, without_storage
from service.warehouse.duck import DuckWarehouse
from service.warehouse.events import EVENTS, TABLES, CallEvent, InsightsFailure
from service.warehouse.rows import DECIMAL_DIGITS, DECIMAL_PLACES, arrow_schema

TYPES = {
    str: "VARCHAR",
    bool: "BOOLEAN",
    int: "INTEGER",
    float: "DOUBLE PRECISION",
    datetime: "TIMESTAMP WITH TIME ZONE",
    Decimal: f"DECIMAL({DECIMAL_DIGITS},{DECIMAL_PLACES})",
}


def created():
    """Return each table's CREATE statement as Redshift would read it, without storage clauses, with the columns added later."""
    found = {}
    for migration in schema.migrations():
        for statement in statements(migration.sql):
            tree = sqlglot.parse_one(without_storage(statement), read="redshift")
            if isinstance(tree, exp.Alter):
                for column in tree.args["actions"]:
                    assert isinstance(column, exp.ColumnDef), statement[:40]
                    found[tree.this.name].this.append("expressions", column)
                continue
            assert isinstance(tree, exp.Create), statement[:40]
            found[tree.find(exp.Table).name] = tree
    return found


def columns_of(tree):
    for column in tree.this.expressions:
        if isinstance(column, exp.ColumnDef):
            required = any(isinstance(item.kind, exp.NotNullColumnConstraint) for item in column.constraints)
            yield column.name, column.kind.sql("redshift").replace(", ", ","), not required


def wanted(event):
    for name, field in event.model_fields.items():
        optional = get_origin(field.annotation) in (Union, types.UnionType)
        inner = get_args(field.annotation)[0] if optional else field.annotation
        kind = type(get_args(inner)[0]) if get_origin(inner) is Literal else inner
        yield name, TYPES[kind], optional


def test_there_is_one_table_per_event():
    assert set(created()) == {event.table for event in TABLES}
    assert set(EVENTS) < set(TABLES)


@pytest.mark.parametrize("event", TABLES, ids=lambda event: event.table)
def test_a_tables_columns_are_its_events(event):
    found = [
        (name, kind.split("(")[0] if kind.startswith("VARCHAR") else kind, free)
        for name, kind, free in columns_of(created()[event.table])
    ]
    assert found == list(wanted(event))


@pytest.mark.parametrize("event", TABLES, ids=lambda event: event.table)
def test_a_tables_primary_key_is_its_events(event):
    (key,) = created()[event.table].find_all(exp.PrimaryKey)
    assert tuple(part.name for part in key.expressions) == event.key
    assert set(event.prefer) <= set(event.model_fields) - set(event.key)


@pytest.mark.parametrize("event", TABLES, ids=lambda event: event.table)
def test_arrow_has_the_same_columns(event):
    fields = [(field.name, field.nullable) for field in arrow_schema(event)]
    assert fields == [(name, free) for name, _, free in columns_of(created()[event.table])]


@pytest.mark.parametrize("event", TABLES, ids=lambda event: event.table)
@pytest.mark.acceptance("operation-27")
def test_copy_lists_the_events_columns(event):
    (copy,) = statements(
        schema.copy_statement(event.table).format(target=event.table, source="s3://b/k", role="DEFAULT")
    )
    assert copy.startswith(f"COPY {event.table} (")
    listed = copy[copy.index("(") + 1 : copy.index(")")]
    assert [name.strip() for name in listed.split(",")] == list(event.model_fields)
    assert "s3://b/k" in copy
    assert "FORMAT AS PARQUET" in copy


def test_every_statement_runs_on_the_embedded_engine(tmp_path):
    warehouse = DuckWarehouse(tmp_path / "w.duckdb")
    warehouse.migrate()
    warehouse.close()
    with duckdb.connect(str(tmp_path / "w.duckdb")) as plain:
        names = {name for (name,) in plain.execute("SELECT table_name FROM information_schema.tables").fetchall()}
        nullable = plain.execute(
            "SELECT column_name, is_nullable = 'YES' FROM information_schema.columns WHERE table_name = 'omni_promises' ORDER BY ordinal_position"
        ).fetchall()
    assert names == {event.table for event in TABLES} | {name for name, _ in schema.views()} | {"omni_schema"}
    assert nullable == [(name, free) for name, _, free in columns_of(created()["omni_promises"])]


def test_feedback_of_before_is_on_summaries(tmp_path):
    older = tmp_path / "sql"
    for folder in ("migrations", "views"):
        (older / folder).mkdir(parents=True)
    for migration in schema.migrations()[:2]:
        (older / "migrations" / f"{migration.name}.sql").write_text(migration.sql)
    warehouse = DuckWarehouse(tmp_path / "w.duckdb", sql_folder=older)
    warehouse.migrate()
    warehouse.close()
    with duckdb.connect(str(tmp_path / "w.duckdb")) as plain:
        plain.execute(
            "INSERT INTO omni_feedback VALUES ('fb-1', 'r', 'c', 'i', 'p', 'a', 'helpful', now(), NULL, NULL, now(), 'x', 'd', 'v', 'm', 1, 'k')"
        )
    warehouse = DuckWarehouse(tmp_path / "w.duckdb")
    warehouse.migrate()
    found = warehouse.query("SELECT feedback_id, task, reason FROM omni_feedback")
    warehouse.close()
    assert found.iloc[0].tolist()[:2] == ["fb-1", "summarize"]
    assert found["reason"].isna().all()


@pytest.mark.acceptance("score-05")
def test_calls_of_before_insights_have_none_and_every_code_fits(tmp_path):
    older = tmp_path / "sql"
    for folder in ("migrations", "views"):
        (older / folder).mkdir(parents=True)
    for migration in schema.migrations()[:4]:
        (older / "migrations" / f"{migration.name}.sql").write_text(migration.sql)
    warehouse = DuckWarehouse(tmp_path / "w.duckdb", sql_folder=older)
    warehouse.migrate()
    warehouse.close()
    with duckdb.connect(str(tmp_path / "w.duckdb")) as plain:
        kinds = plain.execute(
            "SELECT data_type FROM duckdb_columns() WHERE table_name = 'omni_calls' ORDER BY column_index"
        )
        values = {"VARCHAR": "'x'", "BOOLEAN": "true", "TIMESTAMP WITH TIME ZONE": "now()"}
        listed = ", ".join(values.get(kind, "1") for (kind,) in kinds.fetchall())
        plain.execute(f"INSERT INTO omni_calls VALUES ({listed})")
    warehouse = DuckWarehouse(tmp_path / "w.duckdb")
    warehouse.migrate()
    columns = [name for name in CallEvent.model_fields if name.startswith("insights_")]
    found = warehouse.query(f"SELECT {', '.join(columns)} FROM omni_calls")
    warehouse.close()
    assert columns == ["insights_by", "insights_sentiment", "insights_balance", "insights_failure"]
    assert len(found) == 1
    assert found.isna().all(axis=None)
    widths = {name: kind for name, kind, _ in columns_of(created()["omni_calls"])}
    longest = max(len(code) for code in get_args(InsightsFailure))
    assert int(widths["insights_failure"].removeprefix("VARCHAR(").removesuffix(")")) >= longest


def test_a_required_column_can_be_added():
    plain = duckdb.connect()
    plain.execute("CREATE TABLE t (a INTEGER)")
    plain.execute("INSERT INTO t VALUES (1)")
    for statement in table_to_duckdb("ALTER TABLE t ADD COLUMN b VARCHAR(8) DEFAULT 'x' ENCODE ZSTD NOT NULL"):
        plain.execute(statement)
    assert plain.execute("SELECT a, b FROM t").fetchall() == [(1, "x")]
    with pytest.raises(duckdb.ConstraintException, match="b"):
        plain.execute("INSERT INTO t VALUES (2, NULL)")


def test_views_are_late_binding_and_work_in_any_session():
    for name, text in schema.views():
        (statement,) = statements(text)
        assert statement.startswith(f"CREATE OR REPLACE VIEW {name} AS"), name
        assert statement.endswith("WITH NO SCHEMA BINDING"), name
        # A late-binding view must name the schema of its tables.
        tree = sqlglot.parse_one(without_storage(statement), read="redshift")
        withs = {cte.alias for cte in tree.find_all(exp.CTE)}
        read = [table for table in tree.args["expression"].find_all(exp.Table) if table.name not in withs]
        assert read, name
        assert {table.db for table in read} == {"public"}, name
        # Other programs also open the file, and divide integers to fractions there: a view must not depend on the session.
        for division in tree.find_all(exp.Div):
            assert isinstance(division.this, exp.Cast), (name, division.sql())


IDENTITY = "CREATE TABLE t (id BIGINT IDENTITY(5,2) NOT NULL ENCODE AZ64 DISTKEY, x VARCHAR(20) DEFAULT 'a SORTKEY' UNIQUE ENCODE ZSTD) BACKUP NO SORTKEY AUTO"


def test_an_identity_column_counts():
    plain = duckdb.connect()
    for statement in table_to_duckdb(IDENTITY):
        plain.execute(statement)
    plain.execute("INSERT INTO t (x) VALUES ('p'), ('p')")
    plain.execute("INSERT INTO t (x) VALUES (DEFAULT)")
    assert plain.execute("SELECT * FROM t").fetchall() == [(5, "p"), (7, "p"), (9, "a SORTKEY")]


@pytest.mark.parametrize(
    "storage",
    [
        "DISTSTYLE EVEN", "DISTSTYLE KEY DISTKEY (a) COMPOUND SORTKEY (a, b)", "INTERLEAVED SORTKEY (a, b)", "SORTKEY (b)", "SORTKEY AUTO",
        "BACKUP NO", "BACKUP YES DISTSTYLE AUTO", "DISTSTYLE ALL SORTKEY (a) ENCODE AUTO",
    ],
)  # fmt: skip
def test_storage_clauses_are_removed(storage):
    (statement,) = table_to_duckdb(f"CREATE TABLE t (a INTEGER ENCODE AZ64 SORTKEY, b SUPER ENCODE ZSTD) {storage}")
    assert statement == "CREATE TABLE t (a INT, b JSON)"


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE TABLE t AS SELECT 1 AS a", "CREATE TABLE t (LIKE u)", "CREATE TEMP TABLE t (a INT)", "VACUUM t", "INSERT INTO t VALUES (1)",
        "CREATE EXTERNAL TABLE s.t (a INT) STORED AS PARQUET LOCATION 's3://b/k'", "UNLOAD ('SELECT 1') TO 's3://b/k'", "ALTER TABLE t ALTER DISTKEY a",
    ],
)  # fmt: skip
def test_ddl_without_a_counterpart_is_refused(statement):
    with pytest.raises(QueryRefused):
        table_to_duckdb(statement)


@pytest.mark.parametrize("names", [[], ["0002_b.sql"], ["0001_a.sql", "0003_c.sql"], ["0001_a.sql", "1_b.sql"]])
def test_migrations_are_numbered_without_a_gap(tmp_path, names):
    (tmp_path / "migrations").mkdir()
    for name in names:
        (tmp_path / "migrations" / name).touch()
    with pytest.raises(ConfigurationError, match=r"000[12]_"):
        schema.migrations(tmp_path)
