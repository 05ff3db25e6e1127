"""Checks the functions, syntax nodes, tables and windows of a query, and refuses by name whatever is not allowed.

Each check raises ``QueryRefused`` with one line that says what is wrong.
"""

from collections.abc import Mapping
from itertools import pairwise

import sqlglot
from sqlglot import TokenType, exp

from service.kit.frame.errors import QueryRefused
from service.warehouse import functions
from service.warehouse.messages import one_line

Columns = Mapping[str, Mapping[str, str]]
"""For each table and view, in lower case: its columns and their DuckDB types."""

# Keywords that may precede a parenthesis without being functions.
_WORDS = frozenset(
    """
    ALL AND ANY AS BETWEEN BY CASE DISTINCT ELSE EXCEPT EXCLUDE EXISTS FROM GROUP HAVING ILIKE IN INTERSECT INTERVAL IS JOIN LIKE
    LIMIT MINUS NOT OFFSET ON OR OVER PARTITION QUALIFY SELECT SETS SIMILAR SOME THEN TO UNION USING VALUES WHEN WHERE WITH
    DECIMAL NUMERIC VARCHAR CHAR CHARACTER NVARCHAR TIMESTAMP TIMESTAMPTZ TOP
    """.split()
)
# Functions that ``service.warehouse.dialect`` rewrites by a rule of their own.
_RULED = frozenset("AVG LISTAGG DATEADD DATE_ADD DATEDIFF DATE_DIFF EXTRACT DATE_PART".split())
_KNOWN = functions.SAME | frozenset(functions.REWRITTEN) | _RULED
# The syntax nodes that a query may contain after its function names have been checked.
_NODES = frozenset(
    """
    Abs Add Alias And Anonymous AnyValue Ascii AtTimeZone Avg Between Boolean Bracket CTE Case Cast Cbrt Ceil Chr Coalesce Column
    ColumnDef Concat ConvertTimezone Count CrossJoin Cube CumeDist CurrentDate CurrentTimestamp DPipe DataType DataTypeParam
    DateDiff DecodeCase DenseRank Distinct Div Dot EQ Escape Except Exists Exp Extract FirstValue Floor From GT GTE Greatest Group
    GroupConcat Grouping GroupingSets Having ILike Identifier If IgnoreNulls In Intersect Interval Is Join LT LTE Lag
    LastDay LastValue Lead Least Length Like Limit Literal Ln LogicalAnd LogicalOr Lower MD5 Max Median Min Mod Mul NEQ Neg Not
    NthValue Ntile Null Nullif Nvl2 Offset Or Order Ordered Pad Paren PercentRank PercentileCont
    PercentileDisc Placeholder Pow Qualify Rank RegexpLike Repeat Replace Reverse Rollup Round RowNumber SHA Select
    Sign SimilarTo SplitPart Sqrt Star Stddev StddevPop StddevSamp StrPosition Sub Subquery Sum Table TableAlias TimestampTrunc
    Translate Trim Tuple TsOrDsAdd TsOrDsDiff Union Upper Var Variance VariancePop Where Window WindowSpec With WithinGroup
    ApproxDistinct ApproxQuantile AtIndex RespectNulls Unnest
    """.split()
)
_NEEDS_FRAME = (
    exp.Avg, exp.Count, exp.Max, exp.Min, exp.Sum, exp.Stddev, exp.StddevSamp, exp.StddevPop, exp.Variance, exp.VariancePop,
    exp.FirstValue, exp.LastValue, exp.NthValue,
)  # fmt: skip


def check_names(sql: str, tree: exp.Expr, may_precede: str) -> None:
    """Refuse unknown functions by their written names: sqlglot uses one class for several functions that differ.

    ``may_precede`` is the name of a view, which may precede a parenthesis.
    """
    named = {alias.name.lower() for alias in tree.find_all(exp.TableAlias)} | {may_precede}
    tokens = sqlglot.tokenize(sql, read="redshift")
    for token, following in pairwise(tokens):
        if following.token_type is not TokenType.L_PAREN or not token.text[:1].isalpha():
            continue
        name = token.text.upper()
        if token.token_type is TokenType.STRING or name in _WORDS or name in _KNOWN or token.text.lower() in named:
            continue
        raise QueryRefused(f"{name}(): the embedded warehouse is not known to give Redshift's result for this function")


def check_nodes(tree: exp.Expr) -> None:
    """Refuse syntax that Redshift lacks or that is not known to mean the same in DuckDB."""
    for node in tree.walk():
        kind = type(node).__name__
        if kind not in _NODES:
            raise QueryRefused(
                f"{node.key.upper()}: cannot be translated for the embedded warehouse ({one_line(node.sql('redshift'))})"
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
            raise QueryRefused(r"\ is an escape character of LIKE only in Redshift: name another with ESCAPE '^'")
        if isinstance(node, exp.Join) and (node.args.get("method") or node.kind not in ("", "INNER", "OUTER", "CROSS")):
            raise QueryRefused(f"Redshift has no {node.args.get('method') or node.kind} join")
        if isinstance(node, exp.Except | exp.Intersect) and node.args.get("distinct") is False:
            raise QueryRefused("Redshift has no EXCEPT ALL, MINUS ALL or INTERSECT ALL")
        if isinstance(node, exp.Star) and (node.args.get("replace") or node.args.get("rename")):
            raise QueryRefused("Redshift has * and * EXCLUDE (...), not REPLACE or RENAME")
        if isinstance(node, exp.Count) and isinstance(node.this, exp.Distinct) and len(node.this.expressions) > 1:
            raise QueryRefused("COUNT(DISTINCT a, b): Redshift counts one column; join them, or use a subquery")
        if isinstance(node, exp.ILike) and not node.expression.name.isascii():
            raise QueryRefused("ILIKE: Redshift ignores case only for ASCII letters; use LOWER() and LIKE")


def check_tables(tree: exp.Expr, columns: Columns) -> None:
    """Refuse tables that the warehouse does not have, and remove the schema name from the others, in place."""
    named = {cte.alias.lower() for cte in tree.find_all(exp.CTE)}
    for table in tree.find_all(exp.Table):
        name = table.name.lower()
        if table.catalog or table.db.lower() not in ("", "public") or not isinstance(table.this, exp.Identifier):
            raise QueryRefused(
                f"{one_line(table.sql('redshift'))}: all tables of the warehouse are in the schema public"
            )
        table.set("db", None)
        if name not in columns and name not in named:
            raise QueryRefused(f"there is no table {name!r}; there are {', '.join(sorted(columns))}")


def check_window(window: exp.Window) -> None:
    """Refuse window frames that Redshift lacks, and windows without a frame where Redshift requires one."""
    spec = window.args.get("spec")
    if spec is not None and spec.args.get("kind") != "ROWS":
        raise QueryRefused("Redshift knows only ROWS as a window's frame, neither RANGE nor GROUPS")
    function = window.this.this if isinstance(window.this, exp.IgnoreNulls | exp.RespectNulls) else window.this
    if isinstance(function, _NEEDS_FRAME) and window.args.get("order") is not None and spec is None:
        raise QueryRefused(
            f"{function.key.upper()} OVER (... ORDER BY ...) needs a frame in Redshift: ROWS UNBOUNDED PRECEDING, for example"
        )


def check_sorted_aggregates(select: exp.Select) -> None:
    """Refuse a SELECT whose aggregates sort their rows differently, as Redshift does."""
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
