"""Redshift's SELECT for DuckDB: translated where the answer is known to be the same, refused everywhere else."""

from collections.abc import Callable, Mapping
from itertools import pairwise
from typing import Any, ClassVar

import sqlglot
from sqlglot import ErrorLevel, TokenType, exp
from sqlglot.dialects.redshift import Redshift
from sqlglot.errors import SqlglotError
from sqlglot.parsers.redshift import RedshiftParser

from service.errors import QueryRefused
from service.warehouse import functions
from service.warehouse.ddl import statements, without_storage
from service.warehouse.messages import one_line
from service.warehouse.super_paths import resolve_super

Columns = Mapping[str, Mapping[str, str]]
"""Of each table and view, in lower case: its columns and their DuckDB types."""

# Words that stand before a bracket and are no functions.
_WORDS = frozenset(
    """
    ALL AND ANY AS BETWEEN BY CASE DISTINCT ELSE EXCEPT EXCLUDE EXISTS FROM GROUP HAVING ILIKE IN INTERSECT INTERVAL IS JOIN LIKE
    LIMIT MINUS NOT OFFSET ON OR OVER PARTITION QUALIFY SELECT SETS SIMILAR SOME THEN TO UNION USING VALUES WHEN WHERE WITH
    DECIMAL NUMERIC VARCHAR CHAR CHARACTER NVARCHAR TIMESTAMP TIMESTAMPTZ TOP
    """.split()
)
# What has a rule of its own below.
_RULED = frozenset("AVG LISTAGG DATEADD DATE_ADD DATEDIFF DATE_DIFF EXTRACT DATE_PART".split())
_KNOWN = functions.SAME | frozenset(functions.REWRITTEN) | _RULED
# The kinds of node that a query may be made of once its functions are known.
_NODES = frozenset(
    """
    Abs Add Alias And Anonymous AnyValue Ascii AtTimeZone Avg Between Boolean Bracket CTE Case Cast Cbrt Ceil Chr Coalesce Column
    ColumnDef Concat ConvertTimezone Count CrossJoin Cube CumeDist CurrentDate CurrentTimestamp DPipe DataType DataTypeParam
    DateDiff DecodeCase DenseRank Distinct Div Dot EQ Escape Except Exists Exp Extract FirstValue Floor From GT GTE Greatest Group
    GroupConcat Grouping GroupingSets Having ILike Identifier If IgnoreNulls In Intersect Interval Is Join LT LTE Lag
    LastDay LastValue Lead Least Length Like Limit Literal Ln LogicalAnd LogicalOr Lower MD5 Max Median Min Mod Mul NEQ Neg Not
    NthValue Ntile Null Nullif Nvl2 Offset Or Order Ordered Pad Paren PercentRank PercentileCont
    PercentileDisc Placeholder Pow Qualify Rank RegexpILike RegexpLike Repeat Replace Reverse Rollup Round RowNumber SHA Select
    Sign SimilarTo SplitPart Sqrt Star Stddev StddevPop StddevSamp StrPosition Sub Subquery Sum Table TableAlias TimestampTrunc
    Translate Trim Tuple TsOrDsAdd TsOrDsDiff Union Upper Values Var Variance VariancePop Where Window WindowSpec With WithinGroup
    ApproxDistinct ApproxQuantile AtIndex RespectNulls Unnest
    """.split()
)
_INTEGER_TYPES = (exp.DType.SMALLINT, exp.DType.INT, exp.DType.BIGINT)
_NEEDS_FRAME = (
    exp.Avg, exp.Count, exp.Max, exp.Min, exp.Sum, exp.Stddev, exp.StddevSamp, exp.StddevPop, exp.Variance, exp.VariancePop,
    exp.FirstValue, exp.LastValue, exp.NthValue,
)  # fmt: skip


class _Parser(RedshiftParser):
    FUNCTIONS: ClassVar = {
        name: build for name, build in RedshiftParser.FUNCTIONS.items() if name not in functions.REWRITTEN
    }
    FUNCTION_PARSERS: ClassVar = {
        name: parse for name, parse in RedshiftParser.FUNCTION_PARSERS.items() if name not in functions.REWRITTEN
    }


class WarehouseSQL(Redshift):
    """Redshift as sqlglot reads it, but for the functions that are rewritten here by the name that was written."""

    Parser = _Parser


def query_to_duckdb(sql: str, columns: Columns) -> str:
    """Return one SELECT for DuckDB, whose session has ``integer_division`` and the time zone UTC.

    Raises:
        QueryRefused: it is not one SELECT, names a table that is not in ``columns``, or holds what is not known to be answered
            as Redshift answers it.
    """
    text, tree = _select(sql)
    return _translated(text, tree, columns)


def one_select(sql: str) -> str:
    """Return the one SELECT that ``sql`` is, as it was written, for Redshift itself.

    Raises:
        QueryRefused: it is something else, or several.
    """
    return _select(sql)[0]


def _select(sql: str) -> tuple[str, exp.Expr]:
    found = statements(sql)
    if len(found) != 1:
        raise QueryRefused(f"a query is one SELECT; this text has {len(found)} statements")
    tree = _parse(found[0])
    if not isinstance(tree, exp.Query):
        raise QueryRefused(f"only SELECT: the warehouse is read here, and this is {tree.key.upper()}")
    if tree.find(exp.Into, exp.DML):
        raise QueryRefused("SELECT INTO and changes inside WITH are no queries: the warehouse is read here")
    return found[0], tree


def view_to_duckdb(sql: str, columns: Columns) -> str:
    """Return a CREATE OR REPLACE VIEW for DuckDB, which has no late binding.

    Raises:
        QueryRefused: as for a query.
    """
    plain = without_storage(sql)
    tree = _parse(plain)
    query = tree.args.get("expression") if isinstance(tree, exp.Create) and tree.kind == "VIEW" else None
    if not isinstance(query, exp.Query):
        raise QueryRefused("a view's file holds one CREATE OR REPLACE VIEW ... AS SELECT")
    name = tree.this.name.lower()
    body = _translated(plain, query, columns, may_precede=name)
    return f"CREATE OR REPLACE VIEW {name} AS {body}"


def _parse(sql: str) -> exp.Expr:
    try:
        tree: exp.Expr = sqlglot.parse_one(sql, read=WarehouseSQL)
    except SqlglotError as err:
        raise QueryRefused(one_line(str(err))) from None
    return tree


def _translated(sql: str, tree: exp.Expr, columns: Columns, may_precede: str = "") -> str:
    _check_names(sql, tree, may_precede)
    _check_nodes(tree)
    tree = resolve_super(tree, columns)
    _check_tables(tree, columns)
    for window in list(tree.find_all(exp.Window)):
        _check_window(window)
    for select in tree.find_all(exp.Select):
        _check_sorted_aggregates(select)
    try:
        return _rewritten(tree).sql(dialect="duckdb", unsupported_level=ErrorLevel.RAISE)
    except SqlglotError as err:
        raise QueryRefused(one_line(str(err))) from None


def _check_names(sql: str, tree: exp.Expr, may_precede: str) -> None:
    """Refuse functions by the names that were written: sqlglot has one class for several that differ."""
    named = {alias.name.lower() for alias in tree.find_all(exp.TableAlias)} | {may_precede}
    tokens = sqlglot.tokenize(sql, read=WarehouseSQL)
    for token, following in pairwise(tokens):
        if following.token_type is not TokenType.L_PAREN or not token.text[:1].isalpha():
            continue
        name = token.text.upper()
        if token.token_type is TokenType.STRING or name in _WORDS or name in _KNOWN or token.text.lower() in named:
            continue
        raise QueryRefused(
            f"{name}(): not among the functions that the embedded warehouse is known to answer as Redshift does"
        )


def _check_nodes(tree: exp.Expr) -> None:
    for node in tree.walk():
        kind = type(node).__name__
        if kind not in _NODES:
            raise QueryRefused(
                f"{node.key.upper()}: not translated for the embedded warehouse ({one_line(node.sql('redshift'))})"
            )
        if isinstance(node, exp.Distinct) and node.args.get("on") is not None:
            raise QueryRefused("DISTINCT ON: Redshift has none; use QUALIFY ROW_NUMBER() OVER (...) = 1")
        if isinstance(node, exp.Select) and (
            node.args.get("into") or node.args.get("sample") or node.args.get("laterals")
        ):
            raise QueryRefused("SELECT INTO, TABLESAMPLE and LATERAL are not translated")
        if isinstance(node, exp.Group) and node.args.get("all") is not None:
            raise QueryRefused("GROUP BY ALL is not translated: name the columns")
        if isinstance(node, exp.Like | exp.ILike) and "\\" in node.expression.name:
            raise QueryRefused(r"a \ in LIKE is an escape in Redshift alone: name one with ESCAPE '^'")
        if isinstance(node, exp.Join) and node.args.get("method") in ("ASOF", "POSITIONAL"):
            raise QueryRefused("Redshift has no ASOF or POSITIONAL join")


def _check_tables(tree: exp.Expr, columns: Columns) -> None:
    named = {cte.alias.lower() for cte in tree.find_all(exp.CTE)}
    for table in tree.find_all(exp.Table):
        name = table.name.lower()
        if table.catalog or table.db.lower() not in ("", "public") or not isinstance(table.this, exp.Identifier):
            raise QueryRefused(
                f"{one_line(table.sql('redshift'))}: the warehouse's tables stand in schema public alone"
            )
        table.set("db", None)
        if name not in columns and name not in named:
            raise QueryRefused(f"there is no table {name!r}: {', '.join(sorted(columns))}")


def _check_window(window: exp.Window) -> None:
    spec = window.args.get("spec")
    if spec is not None and spec.args.get("kind") != "ROWS":
        raise QueryRefused("a window's frame is ROWS in Redshift, never RANGE or GROUPS")
    function = window.this.this if isinstance(window.this, exp.IgnoreNulls | exp.RespectNulls) else window.this
    if isinstance(function, _NEEDS_FRAME) and window.args.get("order") is not None and spec is None:
        raise QueryRefused(
            f"{function.key.upper()} OVER (... ORDER BY ...) needs a frame in Redshift: ROWS UNBOUNDED PRECEDING, for example"
        )


def _check_sorted_aggregates(select: exp.Select) -> None:
    orders = set()
    for node in select.find_all(exp.WithinGroup, exp.Median):
        if node.find_ancestor(exp.Window) is None and node.find_ancestor(exp.Select) is select:
            order = (
                node.expression
                if isinstance(node, exp.WithinGroup)
                else exp.Order(expressions=[exp.Ordered(this=node.this.copy())])
            )
            orders.add(tuple((item.this.sql(), bool(item.args.get("desc"))) for item in order.expressions))
    if len(orders) > 1:
        raise QueryRefused("LISTAGG, MEDIAN and percentiles of one SELECT must have the same ORDER BY in Redshift")


def _rewritten(tree: exp.Expr) -> exp.Expr:
    # Parts before the whole: a rewrite copies its arguments, which must be translated by then.
    for node in reversed(list(tree.walk())):
        new = _rewrite(node)
        if new is not node:
            node.replace(new)
    return tree


def _rewrite(node: exp.Expr) -> exp.Expr:
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
        return functions.average(function.this, node, sample=function.this)
    return node


def _average(node: exp.Avg) -> exp.Expr:
    value = node.this.expressions[0] if isinstance(node.this, exp.Distinct) else node.this
    above = node.parent.parent if isinstance(node.parent, exp.Window) else node.parent
    if isinstance(above, exp.Div) and not functions.is_fraction(value):
        raise QueryRefused(
            "AVG(...) in a division: write AVG(x::DOUBLE PRECISION), or the average of integers is cut off"
        )
    if isinstance(node.parent, exp.Window):
        return node
    return functions.average(value, node, sample=exp.AnyValue(this=value.copy()))


def _listagg(node: exp.GroupConcat) -> exp.Expr:
    return node if isinstance(node.parent, exp.WithinGroup) else functions.listagg(node, None)


def _within_group(node: exp.WithinGroup) -> exp.Expr:
    return functions.listagg(node.this, node.expression) if isinstance(node.this, exp.GroupConcat) else node


def _cast(node: exp.Cast) -> exp.Expr:
    return functions.whole_number(node) if node.to.this in _INTEGER_TYPES else node


def _exact(node: exp.ApproxDistinct) -> exp.Expr:
    # Exact is within Redshift's error of 2%.
    return exp.Count(this=exp.Distinct(expressions=[node.this.copy()]))


def _quantile(node: exp.ApproxQuantile) -> exp.Expr:
    return functions.duck("QUANTILE_DISC(:value, :share)", value=node.this, share=node.args["quantile"])


_RULES: Mapping[type[exp.Expr], Callable[[Any], exp.Expr]] = {
    exp.Avg: _average,
    exp.GroupConcat: _listagg,
    exp.WithinGroup: _within_group,
    exp.Cast: _cast,
    exp.Extract: functions.date_part,
    exp.TsOrDsAdd: functions.date_add,
    exp.TsOrDsDiff: functions.date_difference,
    exp.DateDiff: functions.date_difference,
    exp.SimilarTo: functions.similar_to,
    exp.CurrentTimestamp: functions.now,
    exp.ApproxDistinct: _exact,
    exp.ApproxQuantile: _quantile,
}
