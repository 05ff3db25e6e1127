"""Computes features from the warehouse: their whole history, their values at a moment, and the values that each case knew."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError

from service.features.definitions import KEYS, FeatureColumn, FeatureView
from service.kit.frame.errors import ConfigurationError, QueryRefused
from service.warehouse.events import CustomerEvent
from service.warehouse.frames import to_frame
from service.warehouse.port import Warehouse

if TYPE_CHECKING:
    import pandas as pd

SOURCE = CustomerEvent.table
# A query with one of these has another answer the next time, so history could not be made again.
_CLOCKS = (exp.CurrentDate, exp.CurrentTimestamp, exp.CurrentTime, exp.Rand)
_CLOCK_NAMES = frozenset({"GETDATE", "SYSDATE", "TIMEOFDAY", "RANDOM", "NOW"})
_UNTIL = "omni_until"  # sqlglot writes a parameter in another way than it is read
_MISSING = "_missing"  # in pandas a NaN looks like a missing value, so the query tells them apart


@dataclass(frozen=True, slots=True, kw_only=True)
class FeatureProblem:
    """Values that a feature cannot have, and that were left out; ``rows`` are their positions."""

    column: str
    reason: str
    rows: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class FeatureValues:
    """Rows of a view: a frame with ``tenant``, ``customer``, ``moment`` and the view's columns, without impossible values."""

    rows: "pd.DataFrame"
    problems: tuple[FeatureProblem, ...] = ()


def known_until(view: FeatureView) -> str:
    """Return the view's SQL over the events that were known at ``:until``, and at no later moment than that.

    Raises:
        ConfigurationError: it is no SELECT, reads another table, or depends on the clock or on chance.
    """
    try:
        tree = sqlglot.parse_one(view.sql, read="redshift")
    except SqlglotError as err:
        raise ConfigurationError(f"{view.id}: its SQL cannot be read: {' '.join(str(err).split())}") from None
    if not isinstance(tree, exp.Query):
        raise ConfigurationError(f"{view.id}: its SQL is no SELECT")
    _check_sources(view, tree)
    for table in list(tree.find_all(exp.Table)):
        if table.name.lower() == SOURCE:
            known = f"SELECT * FROM {SOURCE} WHERE known_at <= {_UNTIL}"  # noqa: S608 - our own name
            table.replace(sqlglot.parse_one(known, read="redshift").subquery(table.alias_or_name))  # type: ignore[attr-defined]
    given = [f"h.{name}" for name in (*KEYS, *view.columns)]
    given += [f"CASE WHEN h.{name} IS NULL THEN 1 ELSE 0 END AS {name}{_MISSING}" for name in _decimals(view)]
    names = ", ".join(given)
    known = tree.sql("redshift").replace(_UNTIL, ":until")
    return f"SELECT {names} FROM ({known}) AS h WHERE h.moment <= :until"  # noqa: S608 - a checked definition


def history(warehouse: Warehouse, view: FeatureView, until: datetime) -> FeatureValues:
    """Return all rows up to ``until`` in the order of tenant, customer and moment, from the events known by then.

    Raises:
        ConfigurationError: the definition is wrong, lacks a column, or has two rows of a customer at one moment.
    """
    found = _asked(warehouse, view, f"{known_until(view)} ORDER BY h.tenant, h.customer, h.moment", until)
    twice = found.rows.duplicated(list(KEYS))
    if twice.any():
        raise ConfigurationError(
            f"{view.id}: {int(twice.sum())} moments have two rows of one customer; keep one of them"
        )
    return found


def values_at(warehouse: Warehouse, view: FeatureView, until: datetime) -> FeatureValues:
    """Return each customer's last row up to ``until``, in the order of tenant and customer."""
    last = (
        f"{known_until(view)} QUALIFY ROW_NUMBER() OVER (PARTITION BY h.tenant, h.customer ORDER BY h.moment DESC) = 1"
        " ORDER BY h.tenant, h.customer"
    )
    return _asked(warehouse, view, last, until)


def as_known(history_rows: "pd.DataFrame", cases: "pd.DataFrame", columns: Sequence[str]) -> "pd.DataFrame":
    """Return ``cases`` with the ``columns`` of the last row of ``history_rows`` that was not after the case's ``as_of``.

    Args:
        history_rows: the rows that ``history`` returned.
        cases: columns ``tenant``, ``customer`` and ``as_of`` (aware times), and any others; their order is kept.
        columns: names of features; they are missing in cases of customers who were not known by then.
    """
    import duckdb

    names = ", ".join(f"h.{name}" for name in columns)
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        connection.register("asked", cases.assign(case_number=range(len(cases))))
        connection.register("known", history_rows)
        found = connection.sql(
            f"SELECT c.*, h.moment, {names} FROM asked AS c ASOF LEFT JOIN known AS h "  # noqa: S608 - names of definitions
            "ON c.tenant = h.tenant AND c.customer = h.customer AND c.as_of >= h.moment ORDER BY c.case_number"
        ).to_arrow_table()
    return to_frame(found.drop_columns("case_number"))


def _asked(warehouse: Warehouse, view: FeatureView, sql: str, until: datetime) -> FeatureValues:
    try:
        frame = warehouse.query(sql, {"until": until})
    except QueryRefused as err:
        raise ConfigurationError(f"{view.id}: {err}") from err
    problems = []
    for name, column in view.columns.items():
        for reason, wrong in _wrong(frame, name, column):
            if wrong.any():
                problems.append(FeatureProblem(column=name, reason=reason, rows=tuple(wrong.to_numpy().nonzero()[0])))
    for one in problems:
        frame[one.column] = frame[one.column].mask(frame.index.isin(one.rows))
    for name, column in view.columns.items():
        if column.kind == "decimal":
            frame[name] = frame[name].astype(float).round(column.places)
    return FeatureValues(rows=frame[[*KEYS, *view.columns]], problems=tuple(problems))


def _wrong(frame: "pd.DataFrame", name: str, column: FeatureColumn) -> "Iterator[tuple[str, pd.Series[bool]]]":
    """Yield each reason why a value cannot be, with the rows that have it."""
    values = frame[name]
    if column.kind == "decimal":
        yield "not a number", values.isna() & (frame[f"{name}{_MISSING}"] == 0)
        yield "infinite", values.abs() == float("inf")
        values = values.where(values.abs() != float("inf"))
    if column.least is not None:
        yield f"below {column.least:g}", (values < column.least).fillna(False).astype(bool)
    if column.most is not None:
        yield f"above {column.most:g}", (values > column.most).fillna(False).astype(bool)


def _decimals(view: FeatureView) -> list[str]:
    return [name for name, column in view.columns.items() if column.kind == "decimal"]


def _check_sources(view: FeatureView, tree: exp.Query) -> None:
    named = {one.alias.lower() for one in tree.find_all(exp.CTE)}
    others = sorted({one.name.lower() for one in tree.find_all(exp.Table)} - named - {SOURCE})
    if others:
        raise ConfigurationError(f"{view.id} reads {', '.join(others)}: features are made from {SOURCE} alone")
    clocks: list[Any] = [*tree.find_all(*_CLOCKS)]
    clocks += [one for one in tree.find_all(exp.Anonymous, exp.Column) if one.name.upper() in _CLOCK_NAMES]
    if clocks:
        raise ConfigurationError(
            f"{view.id} asks for {clocks[0].sql('redshift')}: a row's values depend on its moment, not on when it is computed"
        )
