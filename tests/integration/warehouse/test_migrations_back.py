"""Each migration of the warehouse forward, back and forward again, over rows: what is older stays, what it added is lost."""

import duckdb
import pytest

from service.warehouse import schema
from service.warehouse.ddl import statements, table_to_duckdb
from service.warehouse.duck import DuckWarehouse

BACK = schema.SQL_FOLDER / "back"
LATER = schema.migrations()[1:]


def migrated(path, folder=schema.SQL_FOLDER):
    warehouse = DuckWarehouse(path, sql_folder=folder)
    warehouse.migrate()
    warehouse.close()


def older_than(version, folder):
    (folder / "migrations").mkdir(parents=True)
    (folder / "views").mkdir()
    for migration in schema.migrations():
        if migration.version < version:
            (folder / "migrations" / f"{migration.name}.sql").write_text(migration.sql)
    return folder


def tables(plain):
    """Return the columns of each table."""
    rows = plain.execute("SELECT table_name, column_name FROM duckdb_columns() WHERE NOT internal").fetchall()
    views = {name for name, _ in schema.views()}
    return sorted(row for row in rows if row[0] not in views)


def fill(plain):
    """Put one row into every table, with a value of its type in each column."""
    values = {"VARCHAR": "'x'", "BOOLEAN": "true", "TIMESTAMP WITH TIME ZONE": "now()", "JSON": "'{}'"}
    for name in sorted({table for table, _ in tables(plain)} - {schema.VERSION_TABLE}):
        kinds = plain.execute(
            "SELECT data_type FROM duckdb_columns() WHERE table_name = ? ORDER BY column_index", [name]
        )
        listed = ", ".join(values.get(kind, "1") for (kind,) in kinds.fetchall())
        plain.execute(f"INSERT INTO {name} VALUES ({listed})")


def take_back(plain, migration):
    for name, _ in reversed(schema.views()):
        plain.execute(f"DROP VIEW IF EXISTS {name}")
    for statement in statements((BACK / f"{migration.name}.sql").read_text(encoding="utf-8")):
        for translated in table_to_duckdb(statement):
            plain.execute(translated)
    plain.execute(f"DELETE FROM {schema.VERSION_TABLE} WHERE version = {migration.version}")


def test_every_migration_but_the_first_has_a_way_back():
    assert {path.stem for path in BACK.glob("*.sql")} == {migration.name for migration in LATER}


@pytest.mark.parametrize("migration", LATER, ids=lambda migration: migration.name)
@pytest.mark.acceptance("operation-18")
def test_a_migration_goes_forward_back_and_forward_with_rows(migration, tmp_path):
    path, older = tmp_path / "w.duckdb", older_than(migration.version, tmp_path / "older")
    migrated(tmp_path / "fresh.duckdb", older)
    with duckdb.connect(str(tmp_path / "fresh.duckdb")) as plain:
        before = tables(plain)
    migrated(path)
    with duckdb.connect(str(path)) as plain:
        newest = tables(plain)
        fill(plain)
        for later in reversed([one for one in LATER if one.version >= migration.version]):
            take_back(plain, later)
        assert tables(plain) == before
    migrated(path, older)  # the older program takes the file as its own
    migrated(path)
    with duckdb.connect(str(path)) as plain:
        assert tables(plain) == newest
        kept = {table for table, _ in before} - {schema.VERSION_TABLE}
        for table in kept | {table for table, _ in newest} - {schema.VERSION_TABLE}:
            assert plain.execute(f"SELECT count(*) FROM {table}").fetchone() == (int(table in kept),), table
