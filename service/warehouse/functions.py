"""Redshift's functions for DuckDB: lists those that give the same result in both, and rewrites the others.

Every function listed here has a query with a known result in ``tests/contract/test_warehouse_queries.py``. Source: the function
pages of the Amazon Redshift Database Developer Guide, read in November 2026.
"""

import re
from collections.abc import Callable, Mapping

import sqlglot
from sqlglot import exp

from service.kit.frame.errors import QueryRefused

# Functions that give the same result in both engines, with the arguments as sqlglot passes them on.
SAME = frozenset(
    """
    ABS CEIL CEILING FLOOR ROUND MOD POWER SQRT EXP LN SIGN CBRT GREATEST LEAST NULLIF COALESCE NVL NVL2 DECODE
    COUNT SUM MIN MAX STDDEV STDDEV_SAMP STDDEV_POP VARIANCE VAR_SAMP VAR_POP MEDIAN PERCENTILE_CONT PERCENTILE_DISC
    BOOL_OR BOOL_AND ANY_VALUE ROW_NUMBER RANK DENSE_RANK NTILE PERCENT_RANK CUME_DIST LAG LEAD FIRST_VALUE LAST_VALUE NTH_VALUE
    LEN LENGTH CHAR_LENGTH UPPER LOWER TRIM BTRIM LTRIM RTRIM LPAD RPAD REPLACE TRANSLATE REVERSE REPEAT SPLIT_PART STRPOS
    CHARINDEX POSITION ASCII CHR MD5 SHA1 DATE_TRUNC LAST_DAY CONVERT_TIMEZONE CAST CONVERT ROLLUP CUBE GROUPING
    """.split()
)

_PARTS = frozenset("YEAR QUARTER MONTH WEEK DAY DOW DAYOFWEEK DOY DAYOFYEAR HOUR MINUTE".split())
_STEPS = frozenset("YEAR QUARTER MONTH WEEK DAY HOUR MINUTE SECOND MILLISECOND MICROSECOND".split())
_TIME_FORMAT = {
    "IYYY": "%G", "YYYY": "%Y", "HH24": "%H", "HH12": "%I", "DDD": "%j", "Mon": "%b", "IW": "%V", "MM": "%m", "DD": "%d",
    "MI": "%M", "SS": "%S", "MS": "%g", "AM": "%p", "PM": "%p", "YY": "%y",
}  # fmt: skip
_TIME_TOKENS = re.compile(r'"([^"]*)"|(' + "|".join(_TIME_FORMAT) + r")|([A-Za-z0-9%\"]+)|(.)")
_BASES = {"10": "", "16": "0x", "2": "0b"}

# Metadata key of nodes that are already DuckDB SQL and must not be rewritten again.
OURS = "ours"

Rewrite = Callable[[exp.Expr], exp.Expr]


def duck(template: str, **parts: exp.Expr | str) -> exp.Expr:
    """Return DuckDB's ``template`` with each ``:name`` replaced by a copy of a part; text becomes a literal."""
    made = sqlglot.parse_one(template, read="duckdb")
    for node in made.walk():
        node.meta[OURS] = True
    given = {name: exp.Literal.string(part) if isinstance(part, str) else part.copy() for name, part in parts.items()}
    return exp.replace_placeholders(made, **given)


def above(node: exp.Expr) -> exp.Expr | None:
    """Return the nearest ancestor of ``node`` that is not a pair of parentheses."""
    parent: exp.Expr | None = node.parent
    while isinstance(parent, exp.Paren):
        parent = parent.parent
    return parent


def written_name(node: exp.Expr) -> str:
    """Return the name of a function for which sqlglot has no class, in capitals; "" for any other node."""
    return str(node.this).upper() if isinstance(node, exp.Anonymous) else ""


def _text(node: exp.Expr | None, what: str) -> str:
    if isinstance(node, exp.Literal) and node.is_string:
        return str(node.this)
    raise QueryRefused(f"{what} must be a string literal: the embedded warehouse cannot translate anything else")


def _arguments(node: exp.Expr, least: int, most: int | None = None) -> list[exp.Expr]:
    found: list[exp.Expr] = list(node.expressions)
    if not least <= len(found) <= (most or least):
        raise QueryRefused(f"{written_name(node)} with {len(found)} arguments cannot be translated")
    return found


def _time_format(text: str, name: str) -> str:
    parts = []
    for quoted, token, other, mark in _TIME_TOKENS.findall(text):
        if other:
            raise QueryRefused(
                f"{name}: format {text!r} contains {other!r}, which cannot be translated; known: {', '.join(_TIME_FORMAT)}"
            )
        parts.append(_TIME_FORMAT[token] if token else (quoted or mark).replace("%", "%%"))
    return "".join(parts)


def _template(template: str, *parts: str) -> Rewrite:
    """Return the rewrite of a function whose arguments, as many as ``parts``, take these places in DuckDB's ``template``."""

    def rewrite(node: exp.Expr) -> exp.Expr:
        return duck(template, **dict(zip(parts, _arguments(node, len(parts)), strict=True)))

    return rewrite


def _with_format(template: str, name: str) -> Rewrite:
    def rewrite(node: exp.Expr) -> exp.Expr:
        value, form = _arguments(node, 2)
        return duck(template, value=value, form=_time_format(_text(form, f"{name}'s format"), name))

    return rewrite


def _strtol(node: exp.Expr) -> exp.Expr:
    text, base = _arguments(node, 2)
    prefix = _BASES.get(base.sql())
    if prefix is None:
        raise QueryRefused("STRTOL is translated for the bases 2, 10 and 16")
    return duck("CAST(:prefix || LOWER(:text) AS BIGINT)", prefix=prefix, text=text)


def _path_text(node: exp.Expr) -> exp.Expr:
    document, *path = _arguments(node, 2, 7)
    null_if_invalid = path.pop() if isinstance(path[-1], exp.Boolean) else None
    steps = "".join(f'."{_text(step, "a path element")}"' for step in path)
    if '"' in "".join(_text(step, "a path element") for step in path):
        raise QueryRefused('JSON_EXTRACT_PATH_TEXT: a path element with " is not translated')
    return _valid_or_null("json_extract_string(:document, :path)", null_if_invalid, document=document, path=f"${steps}")


def _element_text(node: exp.Expr) -> exp.Expr:
    document, position, *rest = _arguments(node, 2, 3)
    # A negative position counts from the end in DuckDB; Redshift returns NULL for it.
    template = "CASE WHEN :position >= 0 THEN json_extract_string(:document, '$[' || (:position) || ']') END"
    return _valid_or_null(template, rest[0] if rest else None, document=document, position=position)


def _valid_or_null(template: str, null_if_invalid: exp.Expr | None, **parts: exp.Expr | str) -> exp.Expr:
    if null_if_invalid is None or null_if_invalid.sql().upper() == "FALSE":
        return duck(template, **parts)
    return duck(f"CASE WHEN json_valid(:document) THEN {template} END", **parts)


def _regexp_replace(node: exp.Expr) -> exp.Expr:
    text, pattern, new = _arguments(node, 3)
    if "$" in _text(new, "REGEXP_REPLACE's replacement") or "\\" in new.this:
        raise QueryRefused("REGEXP_REPLACE: a replacement that refers to groups is not translated")
    return duck("REGEXP_REPLACE(:text, :pattern, :new, 'g')", text=text, pattern=pattern, new=new)


def _sha2(node: exp.Expr) -> exp.Expr:
    text, bits = _arguments(node, 2)
    if bits.sql() != "256":
        raise QueryRefused("SHA2 is translated for 256 bits")
    return duck("SHA256(:text)", text=text)


def _substring(node: exp.Expr) -> exp.Expr:
    """Return a SUBSTRING. A start below 1 shortens the result in Redshift, but counts from the end in DuckDB."""
    text, start, *rest = _arguments(node, 2, 3)
    if not rest:
        return duck("SUBSTRING(:text, GREATEST(:start, 1))", text=text, start=start)
    template = "SUBSTRING(:text, GREATEST(:start, 1), GREATEST(:length + LEAST(:start - 1, 0), 0))"
    return duck(template, text=text, start=start, length=rest[0])


def _trunc(node: exp.Expr) -> exp.Expr:
    if len(node.expressions) == 1:
        raise QueryRefused("TRUNC(x) gives a date or a number, depending on x: write x::DATE, or TRUNC(x, 0)")
    number, digits = _arguments(node, 2)
    return duck("TRUNC(:number, :digits)", number=number, digits=digits)


def now(node: exp.Expr) -> exp.Expr:
    """Return the current time in UTC, without a time zone."""
    return duck("(CURRENT_TIMESTAMP AT TIME ZONE 'UTC')")


REWRITTEN: Mapping[str, Rewrite] = {
    "TO_CHAR": _with_format("STRFTIME(:value, :form)", "TO_CHAR"),
    "TO_DATE": _with_format("CAST(STRPTIME(:value, :form) AS DATE)", "TO_DATE"),
    "TO_TIMESTAMP": _with_format("CAST(STRPTIME(:value, :form) AS TIMESTAMPTZ)", "TO_TIMESTAMP"),
    "STRTOL": _strtol,
    # DuckDB's CONCAT skips NULL arguments; Redshift's returns NULL, as || does in both engines.
    "CONCAT": _template("(:one || :two)", "one", "two"),
    "JSON_EXTRACT_PATH_TEXT": _path_text,
    "JSON_EXTRACT_ARRAY_ELEMENT_TEXT": _element_text,
    "JSON_ARRAY_LENGTH": _template("json_array_length(:document)", "document"),
    "GET_ARRAY_LENGTH": _template("json_array_length(:document)", "document"),
    "IS_VALID_JSON": _template("json_valid(:document)", "document"),
    "CAN_JSON_PARSE": _template("json_valid(:document)", "document"),
    "IS_VALID_JSON_ARRAY": _template(
        "CASE WHEN json_valid(:document) THEN json_type(:document) = 'ARRAY' ELSE FALSE END", "document"
    ),
    "JSON_PARSE": _template("CAST(:document AS JSON)", "document"),
    "JSON_SERIALIZE": _template("CAST(json(:document) AS VARCHAR)", "document"),
    "IS_ARRAY": _template("(json_type(:document) = 'ARRAY')", "document"),
    "REGEXP_REPLACE": _regexp_replace,
    "REGEXP_SUBSTR": _template("REGEXP_EXTRACT(:text, :pattern)", "text", "pattern"),
    "REGEXP_COUNT": _template("LENGTH(REGEXP_EXTRACT_ALL(:text, :pattern))", "text", "pattern"),
    "LEFT": _template("LEFT(:text, GREATEST(:length, 0))", "text", "length"),
    "RIGHT": _template("RIGHT(:text, GREATEST(:length, 0))", "text", "length"),
    "SHA2": _sha2,
    "FUNC_SHA1": _template("SHA1(:document)", "document"),
    "SUBSTRING": _substring,
    "SUBSTR": _substring,
    "TRUNC": _trunc,
    "GETDATE": now,
    "LOG": _template("LOG10(:number)", "number"),
    "RATIO_TO_REPORT": lambda node: node,  # rewritten together with its window: ratio_to_report()
}


def ratio_to_report(window: exp.Window) -> exp.Expr:
    """Return ``RATIO_TO_REPORT(x) OVER (...)``: the value's share of the window's sum."""
    (value,) = _arguments(window.this, 1)
    total = window.copy()
    total.set("this", exp.Sum(this=value.copy()))
    return duck("(CAST(:value AS DOUBLE) / NULLIF(:total, 0))", value=value, total=total)


def listagg(node: exp.GroupConcat, order: exp.Order | None) -> exp.Expr:
    """Return ``LISTAGG([DISTINCT] x [, separator]) [WITHIN GROUP (ORDER BY ...)]``; the separator defaults to ''."""
    value, separator = node.this, node.args.get("separator")
    if isinstance(value, exp.Distinct) and len(value.expressions) == 2:
        separator = value.expressions[1]
        value = exp.Distinct(expressions=[value.expressions[0].copy()])
    plain = exp.GroupConcat(this=value.copy(), separator=separator.copy() if separator else exp.Literal.string(""))
    return plain if order is None else exp.WithinGroup(this=plain, expression=order.copy())


def date_part(node: exp.Extract) -> exp.Expr:
    """Return an EXTRACT or DATE_PART that both engines count alike; none in a division, where its undocumented type matters."""
    part = node.name.upper()
    if part not in _PARTS:
        hint = "use DATEDIFF(second, ...)" if part == "EPOCH" else f"known: {', '.join(sorted(_PARTS))}"
        raise QueryRefused(f"the date part {part} is not translated: {hint}")
    if isinstance(above(node), exp.Div):
        raise QueryRefused(
            f"{part} in a division: Redshift's result depends on the type of the time; cast it: {part} ... ::INTEGER"
        )
    return node


def date_add(node: exp.TsOrDsAdd) -> exp.Expr:
    """Return a DATEADD: a time with a zone keeps it, a date becomes a timestamp, as in Redshift."""
    unit = _unit(node)
    moment = node.this
    if isinstance(moment, exp.Literal):
        moment = exp.cast(moment, "TIMESTAMP")
    return duck(f"(:moment + INTERVAL (:count) {unit})", moment=moment, count=node.expression)


def date_difference(node: exp.TsOrDsDiff | exp.DateDiff) -> exp.Expr:
    """Return a DATEDIFF: the number of unit boundaries between two times."""
    unit = _unit(node)
    if unit == "WEEK":
        raise QueryRefused(
            "DATEDIFF(week, ...) cannot be translated: take the days between DATE_TRUNC('week', ...) of both, / 7"
        )
    template = f"DATE_DIFF('{unit}', CAST(:start AS TIMESTAMP), CAST(:end AS TIMESTAMP))"
    return duck(template, start=node.expression, end=node.this)


def _unit(node: exp.Expr) -> str:
    unit = node.args.get("unit")
    name = "DAY" if unit is None else unit.name.upper()
    if name not in _STEPS:
        raise QueryRefused(f"the unit {name} is not translated: {', '.join(sorted(_STEPS))}")
    return name


def similar_to(node: exp.SimilarTo) -> exp.Expr:
    """Return a SIMILAR TO as a regular expression: DuckDB's own takes the wildcards % and _ literally."""
    pattern = _text(node.expression, "the pattern of SIMILAR TO")
    if "\\" in pattern or isinstance(node.parent, exp.Escape):
        raise QueryRefused("SIMILAR TO with an escape is not translated: use ~ with a regular expression")
    regular = "".join(
        {"%": ".*", "_": ".", ".": r"\.", "^": r"\^", "$": r"\$"}.get(letter, letter) for letter in pattern
    )
    return duck("REGEXP_FULL_MATCH(:text, :pattern, 's')", text=node.this, pattern=regular)
