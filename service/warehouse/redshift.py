"""The warehouse in Redshift: sends SQL unchanged through the Data API, and loads rows from Parquet files in S3."""

import io
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

from service.kit.frame.errors import QueryRefused, WarehouseBusy, WarehouseError
from service.warehouse import schema
from service.warehouse.ddl import statements
from service.warehouse.dialect import one_select
from service.warehouse.events import WarehouseEvent
from service.warehouse.frames import to_frame, unique_names
from service.warehouse.messages import one_line
from service.warehouse.port import Merged
from service.warehouse.rows import arrow_schema, without_doubles

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

    from service.kit.settings import Settings

_FIRST_LOOK_S, _LONGEST_LOOK_S = 0.1, 2.0
# A batch of the Data API holds at most 40 statements.
_BATCH = 40


class RedshiftWarehouse:
    """Implements ``service.warehouse.port.Warehouse``. Only one process may write; any number may read."""

    def __init__(
        self,
        data: Any,
        s3: Any,
        settings: "Settings",
        *,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
        ids: Callable[[], str] = lambda: uuid.uuid4().hex,
    ) -> None:
        """Keep two boto3 clients, ``redshift-data`` and ``s3``, without contacting AWS."""
        self._data, self._s3, self._settings = data, s3, settings
        self._sleep, self._clock, self._ids = sleep, clock, ids
        self._target: dict[str, str] = {"Database": settings.redshift.database}
        if settings.redshift.workgroup is not None:
            self._target["WorkgroupName"] = settings.redshift.workgroup
        elif settings.redshift.cluster is not None:
            self._target["ClusterIdentifier"] = settings.redshift.cluster
        if settings.redshift.secret_arn is not None:
            self._target["SecretArn"] = settings.redshift.secret_arn
        self._pending: list[str] | None = None
        self._staged: list[str] = []

    def migrate(self) -> None:
        """See ``Warehouse.migrate``."""
        noted = (
            f"CREATE TABLE IF NOT EXISTS {schema.VERSION_TABLE} (version INTEGER NOT NULL, name VARCHAR(256) NOT NULL)"
        )
        self._batch([*statements(schema.grants()), noted])
        current = self._version()
        for migration in schema.migrations():
            if migration.version > current:
                noted = f"INSERT INTO {schema.VERSION_TABLE} VALUES ({migration.version}, '{migration.name}')"
                self._batch([*statements(migration.sql), noted])
        self._batch([sql for _, text in schema.views() for sql in statements(text)])

    def merge(self, event: type[WarehouseEvent], rows: "pa.Table") -> Merged:
        """See ``Warehouse.merge``. Inside a transaction the counts compare with the table as it was before the transaction."""
        kept = without_doubles(event, _columns_of(event, rows))
        if not kept.num_rows:
            return Merged()
        staged = f"{event.table}_{self._ids()}"
        source = self._upload(event, kept, staged)
        # A permanent table: a temporary one would end with the session of this one API call.
        self._staged.append(staged)
        try:
            copy = schema.copy_statement(event.table).format(target=staged, source=source, role=self._role())
            done = self._batch(
                [
                    f"CREATE TABLE {staged} (LIKE {event.table})",
                    *statements(copy),
                    _drop_unchanged(event, staged),
                    _count(event, staged),
                ]
            )
            changes, known = (int(field["longValue"]) for field in self._pages(f"{done}:4")[1][0])
            work = [_drop_unchanged(event, staged), _merge(event, staged)]
            if self._pending is None:
                self._batch(work)
            else:
                self._pending.extend(work)
        finally:
            if self._pending is None:
                self._drop_staged()
        return Merged(inserted=changes - known, updated=known, unchanged=rows.num_rows - changes)

    def remove(self, event: type[WarehouseEvent], column: str, values: Sequence[str]) -> None:
        """See ``Warehouse.remove``."""
        if column not in event.model_fields:
            raise WarehouseError(f"{event.table} has no column {column}")
        quoted = ", ".join("'" + value.replace("\\", "\\\\").replace("'", "''") + "'" for value in values)
        work = f"DELETE FROM {event.table} WHERE {column} IN ({quoted})"
        if self._pending is None:
            self._batch([work])
        else:
            self._pending.append(work)

    def reclaim(self) -> None:
        """See ``Warehouse.reclaim``: Redshift does it by itself, within hours."""

    def query(self, sql: str, parameters: Mapping[str, Any] | None = None) -> "pd.DataFrame":
        """See ``Warehouse.query``."""
        arguments: dict[str, Any] = {"Sql": one_select(sql)}
        if parameters:
            arguments["Parameters"] = [
                {"name": name, "value": _parameter_text(name, value)} for name, value in parameters.items()
            ]
        try:
            done = self._finished(self._call("execute_statement", **self._target, **arguments)["Id"])
        except _StatementFailed as err:
            raise QueryRefused(str(err)) from err
        return to_frame(_table_of(*self._pages(done)))

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """See ``Warehouse.transaction``. The merges run as one batch when the transaction ends."""
        if self._pending is not None:
            yield
            return
        self._pending = []
        try:
            yield
            if self._pending:
                self._batch(self._pending)
        finally:
            self._pending = None
            self._drop_staged()

    def close(self) -> None:
        """Do nothing: the Data API holds no connection."""

    def _version(self) -> int:
        frame = self.query(f"SELECT COALESCE(MAX(version), 0) AS version FROM {schema.VERSION_TABLE}")
        found, wanted = int(frame["version"].iloc[0]), schema.migrations()[-1].version
        if found > wanted:
            raise WarehouseError(f"Redshift has schema {found} and this program knows {wanted}: update the program")
        return found

    def _upload(self, event: type[WarehouseEvent], rows: "pa.Table", name: str) -> str:
        import pyarrow.parquet as pq

        content = io.BytesIO()
        pq.write_table(rows, content, coerce_timestamps="us")
        bucket, key = (
            self._settings.stores.archive_bucket,
            f"{self._settings.redshift.staging_prefix}{event.table}/{name}.parquet",
        )
        try:
            self._s3.put_object(Bucket=bucket, Key=key, Body=content.getvalue())
        except (ClientError, BotoCoreError) as err:
            raise WarehouseError(f"rows cannot be staged in bucket {bucket!r} ({_code(err)})") from err
        return f"s3://{bucket}/{key}"

    def _role(self) -> str:
        role = self._settings.redshift.copy_role
        return "DEFAULT" if role is None else f"'{role}'"

    def _drop_staged(self) -> None:
        names, self._staged = self._staged, []
        if names:
            self._batch([f"DROP TABLE IF EXISTS {name}" for name in names])

    def _batch(self, sqls: Sequence[str]) -> str:
        """Run statements in one transaction, at most 40 of them, and return the batch's id."""
        if len(sqls) > _BATCH:
            raise WarehouseError(
                f"{len(sqls)} statements in one transaction, but Redshift's Data API takes at most {_BATCH}: "
                "merge fewer tables at once"
            )
        try:
            return self._finished(self._call("batch_execute_statement", **self._target, Sqls=list(sqls))["Id"])
        except _StatementFailed as err:
            raise WarehouseError(f"Redshift: {err}") from err

    def _finished(self, statement: str) -> str:
        give_up, wait_s = self._clock() + self._settings.redshift.timeout_s, _FIRST_LOOK_S
        while True:
            found = self._call("describe_statement", Id=statement)
            if found["Status"] == "FINISHED":
                return statement
            if found["Status"] in ("FAILED", "ABORTED"):
                raise _StatementFailed(one_line(found.get("Error") or found["Status"]))
            if self._clock() >= give_up:
                self._call("cancel_statement", Id=statement)
                raise WarehouseError(
                    f"Redshift did not finish in {self._settings.redshift.timeout_s:.0f} s: the statement was cancelled"
                )
            self._sleep(wait_s)
            wait_s = min(wait_s * 2, _LONGEST_LOOK_S)

    def _pages(self, statement: str) -> tuple[list[dict[str, Any]], list[list[dict[str, Any]]]]:
        columns: list[dict[str, Any]] = []
        records: list[list[dict[str, Any]]] = []
        more: dict[str, str] = {}
        while True:
            page = self._call("get_statement_result", Id=statement, **more)
            columns = columns or page["ColumnMetadata"]
            records.extend(page["Records"])
            if not page.get("NextToken"):
                return columns, records
            more = {"NextToken": page["NextToken"]}

    def _call(self, operation: str, **arguments: Any) -> dict[str, Any]:
        try:
            answer: dict[str, Any] = getattr(self._data, operation)(**arguments)
        except (ClientError, BotoCoreError) as err:
            code = _code(err)
            if code in ("ActiveStatementsExceededException", "ActiveSessionsExceededException"):
                raise WarehouseBusy(
                    f"Redshift already runs as many statements as it allows ({code}): wait, then run this again"
                ) from err
            raise WarehouseError(f"Redshift's Data API refused {operation} ({code}): {one_line(str(err))}") from err
        return answer


class _StatementFailed(Exception):
    """Redshift ran a statement and reported an error."""


def _code(err: Exception) -> str:
    return str(err.response.get("Error", {}).get("Code", "")) if isinstance(err, ClientError) else type(err).__name__


def _columns_of(event: type[WarehouseEvent], rows: "pa.Table") -> "pa.Table":
    import pyarrow as pa

    wanted = arrow_schema(event)
    wrong = sorted(set(rows.column_names) ^ set(wanted.names))
    if wrong:
        raise WarehouseError(
            f"rows for {event.table} have other columns than service.warehouse.events: {', '.join(wrong)}"
        )
    for field in wanted:
        if not field.nullable and rows.column(field.name).null_count:
            raise WarehouseError(f"rows for {event.table} do not fit: {event.table}.{field.name} is missing in a row")
    columns = []
    for field in wanted:
        given = rows.column(field.name)
        try:
            columns.append(given.cast(field.type))
        except (
            pa.ArrowInvalid,
            pa.ArrowNotImplementedError,
        ):  # pyarrow's message quotes the value, which may be a customer's
            raise WarehouseError(
                f"rows for {event.table} do not fit: {event.table}.{field.name} holds {given.type} that is no {field.type}"
            ) from None
    return pa.Table.from_arrays(columns, schema=wanted)


def _same_key(event: type[WarehouseEvent], staged: str) -> str:
    return " AND ".join(f"{event.table}.{name} = {staged}.{name}" for name in event.key)


def _drop_unchanged(event: type[WarehouseEvent], staged: str) -> str:
    """Return the DELETE that leaves in ``staged`` only rows that are new or replace one.

    It spells out IS DISTINCT FROM, which Redshift lacks.
    """
    values = [name for name in event.model_fields if name not in event.key]

    def null(name: str) -> str:
        return f"({event.table}.{name} IS NULL) <> ({staged}.{name} IS NULL)"

    differs = " OR ".join(f"NVL({event.table}.{name} <> {staged}.{name}, {null(name)})" for name in values)
    newer = "TRUE"
    for name in reversed(event.prefer):
        old, new = f"{event.table}.{name}", f"{staged}.{name}"
        greater = f"NVL({new} > {old}, {old} IS NULL AND {new} IS NOT NULL)"
        newer = f"({greater} OR (NOT NVL({new} <> {old}, {null(name)}) AND {newer}))"
    return (
        f"DELETE FROM {staged} USING {event.table} WHERE {_same_key(event, staged)} AND NOT (({differs}) AND {newer})"
    )


def _count(event: type[WarehouseEvent], staged: str) -> str:
    key = event.key[0]
    return (
        f"SELECT COUNT(*) AS changes, COUNT({event.table}.{key}) AS known "
        f"FROM {staged} LEFT JOIN {event.table} ON {_same_key(event, staged)}"
    )


def _merge(event: type[WarehouseEvent], staged: str) -> str:
    names = list(event.model_fields)
    assigned = ", ".join(f"{name} = {staged}.{name}" for name in names if name not in event.key)
    return (
        f"MERGE INTO {event.table} USING {staged} ON {_same_key(event, staged)} "
        f"WHEN MATCHED THEN UPDATE SET {assigned} "
        f"WHEN NOT MATCHED THEN INSERT ({', '.join(names)}) VALUES ({', '.join(f'{staged}.{name}' for name in names)})"
    )


def _parameter_text(name: str, value: Any) -> str:
    """Return a query parameter as the text that the Data API expects."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, int | float | Decimal):
        return str(value)
    if isinstance(value, str) and value:
        return value
    raise QueryRefused(
        f"parameter :{name}: Redshift's Data API takes non-empty texts, numbers and times, but neither None nor ''"
    )


def _table_of(columns: Sequence[Mapping[str, Any]], records: Sequence[Sequence[Mapping[str, Any]]]) -> "pa.Table":
    """Return a result of the Data API as an arrow table."""
    import pyarrow as pa

    kinds: Mapping[str, tuple[pa.DataType, Callable[[Any], Any]]] = {
        "bool": (pa.bool_(), bool),
        "int2": (pa.int64(), int),
        "int4": (pa.int64(), int),
        "int8": (pa.int64(), int),
        "float4": (pa.float64(), float),
        "float8": (pa.float64(), float),
        "numeric": (pa.float64(), float),
        "date": (pa.date32(), date.fromisoformat),
        "timestamp": (pa.timestamp("us"), datetime.fromisoformat),
        "timestamptz": (pa.timestamp("us", tz="UTC"), datetime.fromisoformat),
    }
    arrays = []
    for number, column in enumerate(columns):
        kind, read = kinds.get(column["typeName"], (pa.string(), str))
        arrays.append(pa.array([_value(record[number], read) for record in records], kind))
    return pa.Table.from_arrays(arrays, names=unique_names([column["name"] for column in columns]))


def _value(field: Mapping[str, Any], read: Callable[[Any], Any]) -> Any:
    if field.get("isNull"):
        return None
    return read(next(value for name, value in field.items() if name != "isNull"))
