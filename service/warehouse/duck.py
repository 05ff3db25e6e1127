"""The embedded warehouse: one DuckDB file that answers Redshift's SQL. One process writes, or several read."""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb

from service.errors import QueryRefused, WarehouseBusy, WarehouseError
from service.events import Event
from service.warehouse import schema
from service.warehouse.ddl import statements, table_to_duckdb
from service.warehouse.dialect import query_to_duckdb, view_to_duckdb
from service.warehouse.messages import one_line
from service.warehouse.port import Merged

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

_POLL_S = 0.05


class DuckWarehouse:
    """Implements ``service.warehouse.port.Warehouse`` over one file. Not for several threads at once."""

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
        """Open the file, which a writer creates where it is missing.

        Raises:
            WarehouseBusy: another process still holds it after ``wait_s`` seconds.
            WarehouseError: there is none to read, or it is no DuckDB file, or it is of another schema.
        """
        self.path = path
        self._sql_folder = sql_folder
        self._in_transaction = False
        if read_only and not path.exists():
            raise WarehouseError(
                f"no warehouse at {path}: load events first (make load-events), or set OMNI_WAREHOUSE_PATH"
            )
        if not read_only:
            path.parent.mkdir(parents=True, exist_ok=True)
        self._connection = _connect(path, read_only, wait_s)
        self._connection.execute("SET TimeZone = 'UTC'")
        # Redshift divides integers to an integer.
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
                    for statement in statements(migration.sql):
                        self._connection.execute(table_to_duckdb(statement))
                    self._connection.execute(
                        f"INSERT INTO {schema.VERSION_TABLE} VALUES (?, ?)",  # noqa: S608 - a constant
                        [migration.version, migration.name],
                    )
            for _name, statement in schema.views(self._sql_folder):
                self._connection.execute(view_to_duckdb(statement, self._columns()))

    def merge(self, event: type[Event], rows: "pa.Table") -> Merged:
        """See ``Warehouse.merge``."""
        columns = list(event.model_fields)
        if sorted(rows.column_names) != sorted(columns):
            wrong = sorted(set(rows.column_names) ^ set(columns))
            raise WarehouseError(f"rows for {event.table} have other columns than service.events: {', '.join(wrong)}")
        with self.transaction():
            self._connection.register("incoming", rows)
            try:
                self._stage(event, columns)
                return self._merge_staged(event, columns, rows.num_rows)
            except duckdb.Error as err:
                raise WarehouseError(f"rows for {event.table} do not fit: {one_line(str(err))}") from err
            finally:
                self._connection.unregister("incoming")

    def query(self, sql: str, parameters: Mapping[str, Any] | None = None) -> "pd.DataFrame":
        """See ``Warehouse.query``."""
        translated = query_to_duckdb(sql, self._columns())
        try:
            relation = self._connection.sql(translated, params=dict(parameters or {}))
            # A sum of integers is DuckDB's HUGEINT, which pandas could only hold as a float.
            fields = ", ".join(
                f'CAST(#{number} AS BIGINT) AS "{name}"' if str(kind) == "HUGEINT" else f'#{number} AS "{name}"'
                for number, (name, kind) in enumerate(zip(_lowered(relation.columns), relation.types, strict=True), 1)
            )
            frame: pd.DataFrame = relation.project(fields).df()
        except duckdb.Error as err:
            raise QueryRefused(one_line(str(err))) from err
        return frame

    def _columns(self) -> dict[str, dict[str, str]]:
        found: dict[str, dict[str, str]] = {}
        for table, column, kind in self._connection.execute(
            "SELECT lower(table_name), lower(column_name), data_type FROM information_schema.columns "
            "WHERE table_schema = 'main' AND table_catalog = current_database()"
        ).fetchall():
            found.setdefault(table, {})[column] = kind
        return found

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """See ``Warehouse.transaction``. One inside another is part of it."""
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
            raise
        finally:
            self._in_transaction = False

    def close(self) -> None:
        """See ``Warehouse.close``."""
        self._connection.close()

    def _stage(self, event: type[Event], columns: list[str]) -> None:
        keys = ", ".join(event.key)
        typed = ", ".join(
            f"CAST({name} AS {kind}) AS {name}"
            for name, kind in self._connection.execute(
                "SELECT column_name, data_type FROM information_schema.columns WHERE table_name = ? ORDER BY ordinal_position",
                [event.table],
            ).fetchall()
        )
        preferred = ", ".join(f"{name} DESC NULLS LAST" for name in event.prefer) + (", " if event.prefer else "")
        self._connection.execute("DROP TABLE IF EXISTS temp.staged")
        self._connection.execute(
            f"CREATE TEMP TABLE staged AS SELECT * EXCLUDE (arrival) FROM "  # noqa: S608 - names of our own classes
            f"(SELECT {typed}, row_number() OVER () AS arrival FROM incoming) "
            f"QUALIFY row_number() OVER (PARTITION BY {keys} ORDER BY {preferred}arrival DESC) = 1"
        )

    def _merge_staged(self, event: type[Event], columns: list[str], given: int) -> Merged:
        names = ", ".join(columns)
        same_key = " AND ".join(f"t.{name} = s.{name}" for name in event.key)
        differs = " OR ".join(f"t.{name} IS DISTINCT FROM s.{name}" for name in columns if name not in event.key)
        newer = _not_before(event.prefer)
        inserted = self._connection.execute(
            f"INSERT INTO {event.table} ({names}) SELECT {names} FROM staged s "  # noqa: S608
            f"WHERE NOT EXISTS (SELECT 1 FROM {event.table} t WHERE {same_key})"
        ).fetchall()[0][0]
        updated = 0
        if inserted < self._connection.execute("SELECT count(*) FROM staged").fetchall()[0][0]:
            assignments = ", ".join(f"{name} = s.{name}" for name in columns if name not in event.key)
            updated = self._connection.execute(
                f"UPDATE {event.table} t SET {assignments} FROM staged s WHERE {same_key} AND ({differs}) AND {newer}"  # noqa: S608
            ).fetchall()[0][0]
        self._connection.execute("DROP TABLE temp.staged")
        return Merged(inserted=inserted, updated=updated, unchanged=given - inserted - updated)

    def _version(self) -> int:
        known = self._connection.execute(
            "SELECT 1 FROM information_schema.tables WHERE table_name = ?", [schema.VERSION_TABLE]
        ).fetchall()
        if not known:
            return 0
        found = self._connection.execute(f"SELECT coalesce(max(version), 0) FROM {schema.VERSION_TABLE}").fetchall()  # noqa: S608
        return int(found[0][0])

    def _check_version(self, read_only: bool) -> None:
        wanted = schema.migrations(self._sql_folder)[-1].version
        found = self._version()
        if found > wanted:
            raise WarehouseError(
                f"{self.path} is of schema {found} and this program knows {wanted}: update the program, "
                "or set OMNI_WAREHOUSE_PATH to another file"
            )
        if read_only and found < wanted:
            raise WarehouseError(
                f"{self.path} is of schema {found} and this program reads {wanted}: load events once, which migrates it"
            )


def _lowered(names: list[str]) -> list[str]:
    """Return column names as Redshift gives them: in lower case, each once, quoted for SQL."""
    found: list[str] = []
    for name in (name.lower().replace('"', '""') for name in names):
        found.append(name if name not in found else f"{name}_{len(found)}")
    return found


def _not_before(prefer: tuple[str, ...]) -> str:
    """Return SQL that is true when row s is preferred to row t, or equal; None is before everything."""
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
