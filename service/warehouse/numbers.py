"""Rewrites casts, averages and divisions, where Redshift truncates, rounds or refuses and DuckDB does not."""

import re

from sqlglot import exp

from service.kit.frame.errors import QueryRefused
from service.warehouse.functions import above, duck

_WHOLE = (exp.DType.SMALLINT, exp.DType.INT, exp.DType.BIGINT)
_FLOATING = (exp.DType.DOUBLE, exp.DType.FLOAT)
_TEXTS = (exp.DType.VARCHAR, exp.DType.TEXT, exp.DType.NVARCHAR)
_SAME = (*_FLOATING, exp.DType.BOOLEAN, exp.DType.DATE, exp.DType.TIMESTAMP, exp.DType.TIMESTAMPTZ)
_INTEGERS = "('TINYINT', 'SMALLINT', 'INTEGER', 'BIGINT', 'HUGEINT')"
# The length of VARCHAR in a cast that gives none.
_DEFAULT_BYTES = 256
_WHOLE_DECIMAL = re.compile(r"\d+\.0*")
_POWER_OF_TEN = re.compile(r"10*(\.0*)?")
# Expressions whose cast to a whole number needs no check for a fraction.
_COUNTS = (exp.Case, exp.Count, exp.Round, exp.Floor, exp.Ceil, exp.Length, exp.Extract, exp.Placeholder)


def is_fraction(node: exp.Expr) -> bool:
    """Return whether ``node`` is written as a cast to a floating-point number."""
    inner = node.unnest()
    return isinstance(inner, exp.Cast) and inner.to.this in _FLOATING


def average(node: exp.Avg, whole: exp.Expr, *, over_window: bool) -> exp.Expr:
    """Return an average; ``whole`` is ``node`` itself, or ``node`` with its window.

    Redshift truncates the average of integers to an integer, which is reproduced. It gives an average of decimals the decimals'
    number of places, which is refused when the query runs.
    """
    value = node.this.expressions[0] if isinstance(node.this, exp.Distinct) else node.this
    if is_fraction(value):
        return whole
    sample = value if over_window else exp.AnyValue(this=value.copy())
    return duck(
        f"(CASE WHEN TYPEOF(:sample) IN {_INTEGERS} THEN TRUNC(:whole) WHEN TYPEOF(:sample) LIKE 'DECIMAL%' THEN "
        "error('AVG of a DECIMAL keeps its places in Redshift: write AVG(x::DOUBLE PRECISION)') ELSE :whole END)",
        sample=sample,
        whole=whole,
    )


def check_average(node: exp.Avg) -> None:
    """Refuse an average inside a division unless it is of floating-point numbers: the average's type decides the quotient."""
    value = node.this.expressions[0] if isinstance(node.this, exp.Distinct) else node.this
    whole = node.parent if isinstance(node.parent, exp.Window) else node
    if isinstance(above(whole), exp.Div) and not is_fraction(value):
        raise QueryRefused(
            "AVG(...) in a division: write AVG(x::DOUBLE PRECISION), because an average of integers is truncated"
        )


def division(node: exp.Div) -> exp.Expr:
    """Return a quotient. Division by a decimal is refused, because Redshift rounds the quotient to few places.

    Two kinds of decimal divisor are exact and allowed: 1, 10.0, 100.0 and so on; and, inside FLOOR or CEIL, a whole number such
    as 3600.0, because the quotient keeps more places than the divisor has digits.
    """
    left, right = node.this, node.expression
    if is_fraction(left) or is_fraction(right):
        return node
    hint = "Redshift rounds a quotient by a DECIMAL: write x / y::DOUBLE PRECISION"
    if isinstance(right, exp.Literal):
        exact = right.is_int or _POWER_OF_TEN.fullmatch(str(right.name))
        cut = _WHOLE_DECIMAL.fullmatch(str(right.name)) and isinstance(above(node), exp.Floor | exp.Ceil)
        if not exact and not cut:
            raise QueryRefused(hint)
        return node
    wrong = "TYPEOF(:right) LIKE 'DECIMAL%' AND TYPEOF(:left) NOT IN ('DOUBLE', 'FLOAT')"
    return duck(f"(CASE WHEN {wrong} THEN error('{hint}') ELSE (:left) / (:right) END)", left=left, right=right)


def cast(node: exp.Cast) -> exp.Expr:
    """Return a cast that gives Redshift's result, or fails when the query runs; a type without a counterpart is refused."""
    kind = node.to.this
    if kind in _SAME:
        return node
    if kind in _WHOLE:
        return _whole_number(node)
    if kind in _TEXTS:
        return _text(node)
    if kind is exp.DType.DECIMAL:
        # DECIMAL alone means 0 places in Redshift, and 3 in DuckDB.
        return node if node.to.expressions else duck("CAST(:value AS DECIMAL(18, 0))", value=node.this)
    raise QueryRefused(f"a cast to {node.to.sql('redshift')} is not translated")


def _whole_number(node: exp.Cast) -> exp.Expr:
    kind = node.to.sql("duckdb")
    if isinstance(node.this, _COUNTS):
        return node
    number = "TRY_CAST(:value AS DOUBLE)"
    wrong = "error('a fraction was cast to a whole number: use ROUND, FLOOR or TRUNC(x, 0)')"
    return duck(
        f"(CASE WHEN {number} <> TRUNC({number}) THEN {wrong} ELSE CAST(:value AS {kind}) END)", value=node.this
    )


def _text(node: exp.Cast) -> exp.Expr:
    length = node.to.expressions[0].name if node.to.expressions else str(_DEFAULT_BYTES)
    if not length.isdigit():
        raise QueryRefused("a cast to VARCHAR(MAX) cannot be translated: remove the cast, or write VARCHAR(65535)")
    wrong = (
        f"error('Redshift would cut a text of more than {length} bytes in this cast: write LEFT(x, n) or VARCHAR(n)')"
    )
    return duck(
        f"(CASE WHEN STRLEN(CAST(:value AS VARCHAR)) > {length} THEN {wrong} ELSE CAST(:value AS VARCHAR) END)",
        value=node.this,
    )
