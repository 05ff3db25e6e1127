"""Translates SUPER paths (``payload.items[0].sku``, ``FROM t, t.payload.items AS it``) into DuckDB's JSON functions."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlglot import exp

from service.kit.frame.errors import QueryRefused
from service.warehouse.functions import duck

_Steps = Sequence[str | int]
# This module writes array positions itself: sqlglot shifts a Redshift index by one for DuckDB although JSON also counts from 0,
# and the query then returns NULL instead of an error.


@dataclass(frozen=True, slots=True, kw_only=True)
class _Scope:
    """The names that one query can use: table aliases with their SUPER columns, and aliases of unnested elements."""

    tables: Mapping[str, frozenset[str]]
    elements: frozenset[str]


def resolve_super(tree: exp.Expr, columns: Mapping[str, Mapping[str, str]]) -> exp.Expr:
    """Return ``tree`` with its SUPER paths and unnested SUPER arrays written for DuckDB.

    A translated path yields the element's text. It is accepted only if the column's table is in the same query, and only where
    the text is selected, cast or compared with text: comparing a JSON number as text would give a wrong result.

    Raises:
        QueryRefused: a path whose meaning or type is not certain.
    """
    # Collect all scopes before the first change: they must describe the tree as it was written.
    found = [
        (node, _scope(node, columns))
        for node in tree.find_all(exp.Dot, exp.Bracket, exp.Column)
        if node.find_ancestor(exp.Dot, exp.Bracket) is None and not isinstance(node.parent, exp.Unnest)
    ]
    sources = [(join, source, _scope(join, columns)) for join in tree.find_all(exp.Join) if (source := _source(join))]
    for node, scope in found:
        if isinstance(node.find_ancestor(exp.Join, exp.Select), exp.Join) and _is_source(node):
            continue
        made = _resolved(node, scope)
        if made is not None:
            node.replace(made)
    for join, source, scope in sources:
        _unnest(join, source, scope)
    return tree


def _is_source(node: exp.Expr) -> bool:
    """Return whether ``node`` is an array in FROM and not part of a join's condition."""
    while node.parent is not None and not isinstance(node.parent, exp.Join):
        node = node.parent
    return node.arg_key == "this"


def _scope(node: exp.Expr, columns: Mapping[str, Mapping[str, str]]) -> _Scope:
    """Return the names that ``node`` can use: those of its own SELECT and of all enclosing SELECTs."""
    tables: dict[str, frozenset[str]] = {}
    elements: set[str] = set()
    select = node.find_ancestor(exp.Select)
    while select is not None:
        joins = select.args.get("joins") or []
        first = select.args.get("from_")
        for read in [first.this] if first is not None else []:
            tables.setdefault(read.alias_or_name.lower(), _documents(read, columns))
        for join in joins:
            source = _source(join)
            if source is not None:
                elements.add(source.element)
            else:
                tables.setdefault(join.this.alias_or_name.lower(), _documents(join.this, columns))
        select = select.find_ancestor(exp.Select)
    return _Scope(tables=tables, elements=frozenset(elements))


def _documents(read: exp.Expr, columns: Mapping[str, Mapping[str, str]]) -> frozenset[str]:
    """Return the SUPER columns of a table; none for a subquery or a WITH, whose columns are not known."""
    if not isinstance(read, exp.Table):
        return frozenset()
    withs = (cte.alias.lower() for cte in read.root().find_all(exp.CTE))
    known = {} if read.name.lower() in withs else columns.get(read.name.lower(), {})
    return frozenset(name for name, kind in known.items() if kind == "JSON")


@dataclass(frozen=True, slots=True, kw_only=True)
class _SuperArray:
    """A SUPER array in FROM: its path, the element's alias and the alias of the element's position."""

    path: exp.Expr
    element: str
    index: str | None = None


def _source(join: exp.Join) -> _SuperArray | None:
    source, index = join.this, None
    if isinstance(source, exp.AtIndex):
        source, index = source.this, source.expression.name
    if isinstance(source, exp.Unnest):
        columns = source.args["alias"].columns if source.args.get("alias") else []
        if len(source.expressions) != 1 or len(columns) != 1:
            raise QueryRefused("a SUPER array in FROM needs a name: FROM t, t.payload.items AS item")
        return _SuperArray(path=source.expressions[0], element=columns[0].name.lower())
    if isinstance(source, exp.Alias):
        return _SuperArray(path=source.this, element=source.alias.lower(), index=index)
    return None


def _unnest(join: exp.Join, source: _SuperArray, scope: _Scope) -> None:
    found = _document(source.path, scope)
    if found is None:
        raise QueryRefused(
            f"FROM ..., {source.path.sql('redshift')}: the path does not begin with a SUPER column of an earlier table"
        )
    document, steps = found
    array = duck("CAST(json_extract(:document, :path) AS JSON[])", document=document, path=_json_path(steps))
    fields = [exp.alias_(exp.func("unnest", array), source.element)]
    if source.index is not None:
        fields.append(exp.alias_(duck("generate_subscripts(:array, 1) - 1", array=array), source.index))
    alias = exp.TableAlias(this=exp.to_identifier(source.element))
    join.set("this", exp.Lateral(this=exp.select(*fields).subquery(), alias=alias))
    join.set("kind", "CROSS")


def _resolved(node: exp.Expr, scope: _Scope) -> exp.Expr | None:
    """Return the DuckDB expression for ``node``; None if it is a plain column and needs no translation."""
    found = _document(node, scope)
    if found is None:
        if isinstance(node, exp.Column) and node.table.lower() in {"", *scope.tables} and not node.db:
            return None
        raise QueryRefused(
            f"{node.sql('redshift')}: it begins neither with a table of this query nor with a SUPER column of one"
        )
    document, steps = found
    if not steps:
        return document if document != node else None
    _check_use(node)
    return duck("json_extract_string(:document, :path)", document=document, path=_json_path(steps))


def _document(node: exp.Expr, scope: _Scope) -> tuple[exp.Expr, _Steps] | None:
    """Return the JSON column that ``node`` begins with and the remaining steps; None if it begins with no JSON column."""
    steps = _steps(node)
    if not steps or not isinstance(steps[0], str):
        return None
    first = steps[0]
    if first in scope.elements:
        return exp.column(first, table=first), steps[1:]
    second = steps[1] if len(steps) > 1 else None
    if first in scope.tables:
        if isinstance(second, str) and second in scope.tables[first]:
            return exp.column(second, table=first), steps[2:]
        return None
    owners = [table for table, documents in scope.tables.items() if first in documents]
    return (exp.column(first, table=owners[0]), steps[1:]) if len(owners) == 1 else None


def _steps(node: exp.Expr) -> _Steps | None:
    if isinstance(node, exp.Column):
        return tuple(_name(part) for part in node.parts)
    if isinstance(node, exp.Identifier):
        return (_name(node),)
    if isinstance(node, exp.Dot):
        before = _steps(node.this)
        return (
            None
            if before is None or not isinstance(node.expression, exp.Identifier)
            else (*before, _name(node.expression))
        )
    if isinstance(node, exp.Bracket) and len(node.expressions) == 1:
        before, position = _steps(node.this), node.expressions[0]
        if before is not None and isinstance(position, exp.Literal) and not position.is_string:
            return (*before, int(position.name))
    return None


def _name(identifier: exp.Expr) -> str:
    return str(identifier.name) if identifier.args.get("quoted") else str(identifier.name).lower()


def _json_path(steps: _Steps) -> str:
    return "$" + "".join(f"[{step}]" if isinstance(step, int) else f'."{step}"' for step in steps)


def _check_use(path: exp.Expr) -> None:
    above = path.parent
    while isinstance(above, exp.Paren):
        above = above.parent
    texts = isinstance(above, exp.EQ | exp.NEQ | exp.In | exp.Like | exp.ILike) and all(
        part is path
        or isinstance(part, exp.Paren)
        or (isinstance(part, exp.Literal) and part.is_string)
        or isinstance(part, exp.Placeholder)
        for part in above.iter_expressions()
    )
    allowed = isinstance(above, exp.Cast | exp.Select | exp.Group | exp.Is | exp.Anonymous) or (
        isinstance(above, exp.Alias) and isinstance(above.parent, exp.Select)
    )
    if not (texts or allowed):
        shown = path.sql("redshift")
        raise QueryRefused(
            f"{shown}: cast a SUPER path before comparing or calculating with it, for example {shown}::DECIMAL(18,2)"
        )
