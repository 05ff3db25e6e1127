"""The embedded warehouse: one DuckDB file that answers Redshift's SQL, open to one writer or to several readers."""

import re
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb

from service.kit.frame.errors import QueryRefused, WarehouseBusy, WarehouseError
from service.warehouse import schema
from service.warehouse.checks import Columns
from service.warehouse.ddl import statements, table_to_duckdb
from service.warehouse.dialect import query_to_duckdb, view_to_duckdb
from service.warehouse.events import WarehouseEvent
from service.warehouse.frames import to_frame, unique_names
from service.warehouse.messages import one_line
from service.warehouse.port import Merged

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

_POLL_S = 0.05


class DuckWarehouse:
    """Implements ``service.warehouse.port.Warehouse`` over one file. Not thread-safe."""

    def __init__(
        self,
        path: Path,
        *,
        read_only: bool = False,
        memory_mb: int = 2048,
        threads: int = 2,
        wait_s: float = 0.0,
        sql_folder: Path = schema.SQL_FOLDER,
    ) -> None:
        """Open the file; a writer creates it if it is missing.

        Raises:
            WarehouseBusy: another process still holds the file after ``wait_s`` seconds.
            WarehouseError: there is no file to read, it is not a DuckDB file, or its schema version does not fit.
        """
        self.path = path
        self._sql_folder = sql_folder
        self._read_only, self._in_transaction = read_only, False
        self._known: Columns | None = None
        if read_only and not path.exists():
            raise WarehouseError(
                f"no warehouse at {path}: load events first (omni load-events), or set OMNI_WAREHOUSE_PATH"
            )
        if not read_only:
            path.parent.mkdir(parents=True, exist_ok=True)
        self._connection = _connect(path, read_only, wait_s)
        self._connection.execute("SET TimeZone = 'UTC'")
        # In Redshift an integer divided by an integer is an integer.
        self._connection.execute("SET integer_division = true")
        self._connection.execute(f"SET memory_limit = '{memory_mb}MB'")
        self._connection.execute(f"SET threads = {threads}")
        try:
            self._check_version(read_only)
        except BaseException:
            self._connection.close()
            raise

    def migrate(self) -> None:
        """See ``Warehouse.migrate``."""
        current = self._version()
        with self.transaction():
            self._connection.execute(
                f"CREATE TABLE IF NOT EXISTS {schema.VERSION_TABLE} (version INTEGER NOT NULL, name VARCHAR NOT NULL)"
            )
            for migration in schema.migrations(self._sql_folder):
                if migration.version > current:
                    self._apply(migration)
            for _name, statement in schema.views(self._sql_folder):
                self._known = None
                self._connection.execute(view_to_duckdb(statement, self._columns()))
            self._known = None

    def merge(self, event: type[WarehouseEvent], rows: "pa.Table") -> Merged:
        """See ``Warehouse.merge``."""
        if self._read_only:
            raise WarehouseError(f"{self.path} was opened read-only: open it for writing before merging")
        wrong = sorted(set(rows.column_names) ^ set(event.model_fields))
        if wrong or len(rows.column_names) != len(event.model_fields):
            raise WarehouseError(
                f"rows for {event.table} have other columns than service.warehouse.events: {', '.join(wrong)}"
            )
        with self.transaction():
            self._connection.register("incoming", rows)
            try:
                inserted, updated = self._merge_staged(event, self._stage(event))
                self._run("DROP TABLE temp.staged")
            except duckdb.Error as err:
                raise WarehouseError(f"rows for {event.table} do not fit: {_without_values(err)}") from err
            finally:
                self._forget_rows()
        return Merged(inserted=inserted, updated=updated, unchanged=rows.num_rows - inserted - updated)

    def remove(self, event: type[WarehouseEvent], column: str, values: Sequence[str]) -> None:
        """See ``Warehouse.remove``."""
        if self._read_only:
            raise WarehouseError(f"{self.path} was opened read-only: open it for writing before deleting")
        if column not in event.model_fields:
            raise WarehouseError(f"{event.table} has no column {column}")
        names = ", ".join("?" for _ in values)
        with self.transaction():
            self._run(f"DELETE FROM {event.table} WHERE {column} IN ({names})", list(values))

    def reclaim(self) -> None:
        """See ``Warehouse.reclaim``: writes the file anew and puts it in the old one's place; the warehouse is closed then.

        A block of the file that holds no row any more keeps its bytes until it is used again.
        """
        anew = self.path.with_suffix(".anew")
        anew.unlink(missing_ok=True)
        try:
            self._run("CHECKPOINT")  # nothing stays in the log beside the file
            (name,) = self._run("SELECT current_database()")[0]
            self._run(f"ATTACH '{str(anew).replace(chr(39), chr(39) * 2)}' AS anew")
            self._run(f'COPY FROM DATABASE "{name}" TO anew')
            self._run("DETACH anew")
        except duckdb.Error as err:
            anew.unlink(missing_ok=True)
            raise WarehouseError(f"{self.path} cannot be written anew: {_without_values(err)}") from err
        # The new file takes the name while the old one is still locked: no other process can have opened it in between.
        anew.replace(self.path)
        self._connection.close()

    def query(self, sql: str, parameters: Mapping[str, Any] | None = None) -> "pd.DataFrame":
        """See ``Warehouse.query``."""
        translated = query_to_duckdb(sql, self._columns())
        try:
            relation = self._connection.sql(translated, params=dict(parameters or {}))
            # DuckDB sums integers to a HUGEINT, for which arrow has no integer type.
            fields = ", ".join(
                f"CAST(#{number} AS BIGINT) AS c{number}" if str(kind) == "HUGEINT" else f"#{number} AS c{number}"
                for number, kind in enumerate(relation.types, 1)
            )
            table = relation.project(fields).to_arrow_table()
        except duckdb.Error as err:
            raise QueryRefused(one_line(str(err))) from err
        return to_frame(table.rename_columns(unique_names(relation.columns)))

    def _apply(self, migration: schema.Migration) -> None:
        try:
            for statement in statements(migration.sql):
                for translated in table_to_duckdb(statement):
                    self._run(translated)
        except (duckdb.Error, QueryRefused) as err:
            raise WarehouseError(
                f"migration {migration.name} does not run on {self.path}: {one_line(str(err))}"
            ) from err
        self._run(f"INSERT INTO {schema.VERSION_TABLE} VALUES (?, ?)", [migration.version, migration.name])

    def _columns(self) -> Columns:
        if self._known is None:
            found: dict[str, dict[str, str]] = {}
            for table, column, kind in self._connection.execute(
                "SELECT lower(table_name), lower(column_name), data_type FROM information_schema.columns "
                "WHERE table_schema = 'main' AND table_catalog = current_database() ORDER BY table_name, ordinal_position"
            ).fetchall():
                found.setdefault(table, {})[column] = kind
            self._known = found
        return self._known

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """See ``Warehouse.transaction``. A nested transaction is part of the outer one."""
        if self._in_transaction:
            yield
            return
        self._connection.execute("BEGIN TRANSACTION")
        self._in_transaction = True
        try:
            yield
            self._connection.execute("COMMIT")
        except BaseException:
            self._connection.execute("ROLLBACK")
            self._forget_rows()
            raise
        finally:
            self._in_transaction = False

    def close(self) -> None:
        """See ``Warehouse.close``."""
        self._connection.close()

    def _forget_rows(self) -> None:
        # After an error DuckDB refuses everything until the rollback, unregister included.
        with suppress(duckdb.TransactionException):
            self._connection.unregister("incoming")

    def _stage(self, event: type[WarehouseEvent]) -> int:
        """Fill the table ``staged`` with one row per key and return how many there are."""
        keys = ", ".join(event.key)
        typed = ", ".join(f"CAST({name} AS {kind}) AS {name}" for name, kind in self._columns()[event.table].items())
        self._run(
            f"CREATE OR REPLACE TEMP TABLE staged AS SELECT {typed}, row_number() OVER () AS arrival FROM incoming"
        )
        rows, distinct = self._run(f"SELECT count(*), count(DISTINCT ({keys})) FROM staged")[0]
        if distinct < rows:
            preferred = "".join(f"{name} DESC NULLS LAST, " for name in event.prefer)
            self._run(
                f"DELETE FROM staged WHERE arrival NOT IN (SELECT arrival FROM staged QUALIFY "
                f"row_number() OVER (PARTITION BY {keys} ORDER BY {preferred}arrival DESC) = 1)"
            )
        return int(distinct)

    def _merge_staged(self, event: type[WarehouseEvent], staged: int) -> tuple[int, int]:
        """Merge ``staged`` into the event's table; return how many rows were inserted and how many replaced one."""
        names = ", ".join(event.model_fields)
        values = [name for name in event.model_fields if name not in event.key]
        same_key = " AND ".join(f"t.{name} = s.{name}" for name in event.key)
        differs = " OR ".join(f"t.{name} IS DISTINCT FROM s.{name}" for name in values)
        inserted = self._run(
            f"INSERT INTO {event.table} ({names}) SELECT {names} FROM staged s "
            f"WHERE NOT EXISTS (SELECT 1 FROM {event.table} t WHERE {same_key})"
        )[0][0]
        if inserted == staged:
            return int(inserted), 0
        updated = self._run(
            f"UPDATE {event.table} t SET {', '.join(f'{name} = s.{name}' for name in values)} FROM staged s "
            f"WHERE {same_key} AND ({differs}) AND {_not_before(event.prefer)}"
        )[0][0]
        return int(inserted), int(updated)

    def _run(self, sql: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Run internal SQL, whose names come from ``service.warehouse.events`` and the SQL files, never from a caller."""
        rows: list[tuple[Any, ...]] = self._connection.execute(sql, list(parameters)).fetchall()
        return rows

    def _version(self) -> int:
        known = self._connection.execute(
            "SELECT 1 FROM information_schema.tables WHERE table_name = ?", [schema.VERSION_TABLE]
        ).fetchall()
        if not known:
            return 0
        found = self._connection.execute(f"SELECT coalesce(max(version), 0) FROM {schema.VERSION_TABLE}").fetchall()
        return int(found[0][0])

    def _check_version(self, read_only: bool) -> None:
        wanted = schema.migrations(self._sql_folder)[-1].version
        found = self._version()
        if found > wanted:
            raise WarehouseError(
                f"{self.path} has schema {found} and this program knows {wanted}: update the program, "
                "or set OMNI_WAREHOUSE_PATH to another file"
            )
        if read_only and found < wanted:
            raise WarehouseError(
                f"{self.path} has schema {found} and this program needs {wanted}: run `omni load-events`, which migrates it"
            )
        if read_only:
            there = {
                str(name)
                for (name,) in self._connection.execute(
                    "SELECT view_name FROM duckdb_views() WHERE NOT internal"
                ).fetchall()
            }
            missing = [name for name, _ in schema.views(self._sql_folder) if name not in there]
            if missing:
                raise WarehouseError(
                    f"{self.path} has no {missing[0]} yet: run `omni load-events`, which creates the views"
                )


def _without_values(err: duckdb.Error) -> str:
    """Return DuckDB's error without the value that it quotes, which may be a customer's."""
    text = one_line(str(err))
    missing = re.search(r"NOT NULL constraint failed: (\S+)", text)
    return f"{missing[1]} is missing in a row" if missing else type(err).__name__


def _not_before(prefer: tuple[str, ...]) -> str:
    """Return SQL that is true if row s is preferred to row t or equal to it; NULL sorts before all values."""
    condition = "TRUE"
    for name in reversed(prefer):
        greater = f"(s.{name} > t.{name} OR (t.{name} IS NULL AND s.{name} IS NOT NULL))"
        condition = f"(coalesce({greater}, FALSE) OR (s.{name} IS NOT DISTINCT FROM t.{name} AND {condition}))"
    return condition


def _connect(path: Path, read_only: bool, wait_s: float) -> duckdb.DuckDBPyConnection:
    give_up = time.monotonic() + wait_s
    while True:
        try:
            return duckdb.connect(str(path), read_only=read_only)
        except (duckdb.IOException, duckdb.ConnectionException) as err:
            text = str(err)
            if "lock" not in text and "different configuration" not in text:
                raise WarehouseError(f"{path} cannot be opened: {one_line(text)}") from err
            if time.monotonic() >= give_up:
                whom = "readers" if not read_only else "the loader"
                raise WarehouseBusy(
                    f"{path} is in use by another process: wait for {whom} to finish, or stop it ({one_line(text)})"
                ) from err
        time.sleep(_POLL_S)
