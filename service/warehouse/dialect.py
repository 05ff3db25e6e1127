"""Translates a Redshift SELECT for DuckDB, and refuses what is not known to give the same result there."""

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, ClassVar

import sqlglot
from sqlglot import ErrorLevel, exp
from sqlglot.dialects.redshift import Redshift
from sqlglot.errors import SqlglotError
from sqlglot.parsers.redshift import RedshiftParser

from service.kit.frame.errors import QueryRefused
from service.warehouse import checks, functions, numbers
from service.warehouse.checks import Columns
from service.warehouse.ddl import statements, without_storage
from service.warehouse.messages import one_line
from service.warehouse.super_paths import resolve_super


class _Parser(RedshiftParser):
    FUNCTIONS: ClassVar = {
        name: build for name, build in RedshiftParser.FUNCTIONS.items() if name not in functions.REWRITTEN
    }
    FUNCTION_PARSERS: ClassVar = {
        name: parse for name, parse in RedshiftParser.FUNCTION_PARSERS.items() if name not in functions.REWRITTEN
    }


class WarehouseSQL(Redshift):
    """sqlglot's Redshift dialect, except that functions in ``functions.REWRITTEN`` keep the name that was written."""

    Parser = _Parser


# A translation takes 5 to 50 ms, and a process repeats the same few dozen queries.
_KEPT = 256
_FrozenColumns = tuple[tuple[str, tuple[tuple[str, str], ...]], ...]


def query_to_duckdb(sql: str, columns: Columns) -> str:
    """Return one SELECT for DuckDB, whose session has ``integer_division`` and the time zone UTC.

    Raises:
        QueryRefused: it is not one SELECT, names a table that is not in ``columns``, or uses something that is not known to give
            Redshift's result.
    """
    return _query(sql, _frozen(columns))


@lru_cache(maxsize=_KEPT)
def _query(sql: str, columns: _FrozenColumns) -> str:
    text, tree = _select(sql)
    return _translated(text, tree, _thawed(columns))


def _frozen(columns: Columns) -> _FrozenColumns:
    return tuple((table, tuple(kinds.items())) for table, kinds in columns.items())


def _thawed(columns: _FrozenColumns) -> Columns:
    return {table: dict(kinds) for table, kinds in columns}


def one_select(sql: str) -> str:
    """Return the single SELECT in ``sql``, unchanged, for Redshift itself; anything else is refused."""
    return _select(sql)[0]


def _select(sql: str) -> tuple[str, exp.Expr]:
    found = statements(sql)
    if len(found) != 1:
        raise QueryRefused(f"a query is one SELECT; this text has {len(found)} statements")
    tree = _parse(found[0])
    if not isinstance(tree, exp.Query):
        raise QueryRefused(
            f"only SELECT is allowed: a query cannot change the warehouse, and this is {tree.key.upper()}"
        )
    if tree.find(exp.Into, exp.DML):
        raise QueryRefused("a query cannot change the warehouse: remove SELECT INTO, or the changes inside WITH")
    return found[0], tree


def view_to_duckdb(sql: str, columns: Columns) -> str:
    """Return a CREATE OR REPLACE VIEW for DuckDB, which has no late binding; refused is what a query may not hold."""
    return _view(sql, _frozen(columns))


@lru_cache(maxsize=_KEPT)
def _view(sql: str, columns: _FrozenColumns) -> str:
    plain = without_storage(sql)
    tree = _parse(plain)
    query = tree.args.get("expression") if isinstance(tree, exp.Create) and tree.kind == "VIEW" else None
    if not isinstance(query, exp.Query):
        raise QueryRefused("a view's file holds one CREATE OR REPLACE VIEW ... AS SELECT")
    name = tree.this.name.lower()
    body = _translated(plain, query, _thawed(columns), may_precede=name)
    return f"CREATE OR REPLACE VIEW {name} AS {body}"


def _parse(sql: str) -> exp.Expr:
    try:
        tree: exp.Expr = sqlglot.parse_one(sql, read=WarehouseSQL)
    except SqlglotError as err:
        raise QueryRefused(one_line(str(err))) from None
    return tree


def _translated(sql: str, tree: exp.Expr, columns: Columns, may_precede: str = "") -> str:
    checks.check_names(sql, tree, may_precede)
    checks.check_nodes(tree)
    tree = resolve_super(tree, columns)
    checks.check_tables(tree, columns)
    for window in list(tree.find_all(exp.Window)):
        checks.check_window(window)
    for select in tree.find_all(exp.Select):
        checks.check_sorted_aggregates(select)
    try:
        return _rewritten(tree).sql(dialect="duckdb", unsupported_level=ErrorLevel.RAISE)
    except SqlglotError as err:
        raise QueryRefused(one_line(str(err))) from None


def _rewritten(tree: exp.Expr) -> exp.Expr:
    # Children before parents: a rewrite copies its arguments, which must already be translated.
    for node in reversed(list(tree.walk())):
        new = _rewrite(node)
        if new is node:
            continue
        if node is tree:
            tree = new
        else:
            node.replace(new)
    return tree


def _rewrite(node: exp.Expr) -> exp.Expr:
    if node.meta.get(functions.OURS):
        return node
    if isinstance(node, exp.Anonymous):
        rewrite = functions.REWRITTEN.get(functions.written_name(node))
        return node if rewrite is None else rewrite(node)
    if isinstance(node, exp.Window):
        return _window(node)
    for kind, rule in _RULES.items():
        if isinstance(node, kind):
            return rule(node)
    return node


def _window(node: exp.Window) -> exp.Expr:
    function = node.this
    if functions.written_name(function) == "RATIO_TO_REPORT":
        return functions.ratio_to_report(node)
    if isinstance(function, exp.Avg):
        return numbers.average(function, node, over_window=True)
    return node


def _average(node: exp.Avg) -> exp.Expr:
    numbers.check_average(node)
    return node if isinstance(node.parent, exp.Window) else numbers.average(node, node, over_window=False)


def _listagg(node: exp.GroupConcat) -> exp.Expr:
    return node if isinstance(node.parent, exp.WithinGroup) else functions.listagg(node, None)


def _within_group(node: exp.WithinGroup) -> exp.Expr:
    return functions.listagg(node.this, node.expression) if isinstance(node.this, exp.GroupConcat) else node


def _exact(node: exp.ApproxDistinct) -> exp.Expr:
    # An exact count is always within the 2% error that Redshift allows.
    return exp.Count(this=exp.Distinct(expressions=[node.this.copy()]))


def _quantile(node: exp.ApproxQuantile) -> exp.Expr:
    return functions.duck("QUANTILE_DISC(:value, :share)", value=node.this, share=node.args["quantile"])


_RULES: Mapping[type[exp.Expr], Callable[[Any], exp.Expr]] = {
    exp.Avg: _average,
    exp.GroupConcat: _listagg,
    exp.WithinGroup: _within_group,
    exp.Cast: numbers.cast,
    exp.Div: numbers.division,
    exp.Extract: functions.date_part,
    exp.TsOrDsAdd: functions.date_add,
    exp.TsOrDsDiff: functions.date_difference,
    exp.DateDiff: functions.date_difference,
    exp.SimilarTo: functions.similar_to,
    exp.CurrentTimestamp: functions.now,
    exp.ApproxDistinct: _exact,
    exp.ApproxQuantile: _quantile,
}
