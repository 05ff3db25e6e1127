"""Redshift's SUPER: ``payload.items[0].sku`` and ``FROM t, t.payload.items AS it`` as DuckDB's JSON functions."""

from collections.abc import Mapping
from dataclasses import dataclass

from sqlglot import exp

from service.errors import QueryRefused
from service.warehouse.functions import duck

_Steps = tuple[str | int, ...]
# sqlglot moves a Redshift index by one on its way to DuckDB, where JSON counts from 0 too: the answer is NULL, not an error.


@dataclass(frozen=True, slots=True, kw_only=True)
class _Scope:
    """What names mean in one query: table aliases with their SUPER columns, and aliases of unnested elements."""

    tables: Mapping[str, frozenset[str]]
    elements: frozenset[str]


def resolve_super(tree: exp.Expr, columns: Mapping[str, Mapping[str, str]]) -> exp.Expr:
    """Return ``tree`` with its SUPER paths and unnested SUPER arrays written for DuckDB.

    A path stands for its text. It is translated where the column's table stands in the same query, and where text is compared
    or cast; a JSON number compared as text would be wrong.

    Raises:
        QueryRefused: a path whose meaning or type is not certain.
    """
    scope = _scope(tree, columns)
    for join in list(tree.find_all(exp.Join)):
        _unnest(join, scope)
    for node in list(tree.find_all(exp.Dot, exp.Bracket, exp.Column)):
        if node.find_ancestor(exp.Dot, exp.Bracket) is None and node.root() is tree:
            made = _resolved(node, scope)
            if made is not None:
                node.replace(made)
    return tree


def _scope(tree: exp.Expr, columns: Mapping[str, Mapping[str, str]]) -> _Scope:
    tables: dict[str, frozenset[str]] = {}
    for table in tree.find_all(exp.Table):
        known = columns.get(table.name.lower(), {})
        documents = frozenset(name for name, kind in known.items() if kind == "JSON")
        tables[table.alias_or_name.lower()] = documents
    for derived in [*tree.find_all(exp.Subquery), *tree.find_all(exp.CTE)]:
        tables.setdefault(derived.alias_or_name.lower(), frozenset())
    elements = set()
    for join in tree.find_all(exp.Join):
        source = join.this.this if isinstance(join.this, exp.AtIndex) else join.this
        if isinstance(source, exp.Alias):
            elements.add(source.alias.lower())
        elif isinstance(source, exp.Table) and (source.catalog or source.db).lower() in tables:
            elements.add(source.alias_or_name.lower())
            tables.pop(source.alias_or_name.lower(), None)
    return _Scope(tables=tables, elements=frozenset(elements))


def _unnest(join: exp.Join, scope: _Scope) -> None:
    source, index = join.this, None
    if isinstance(source, exp.AtIndex):
        source, index = source.this, source.expression.name
    if isinstance(source, exp.Alias):
        path: exp.Expr = source.this
    elif isinstance(source, exp.Table) and source.alias_or_name.lower() in scope.elements:
        parts = [part for part in (source.args.get("catalog"), source.args.get("db"), source.this) if part is not None]
        path = exp.Dot.build([part.copy() for part in parts])
    else:
        if index is not None:
            raise QueryRefused("AT belongs to a SUPER array in FROM")
        return
    element = source.alias_or_name.lower()
    found = _document(path, scope)
    if found is None:
        raise QueryRefused(f"FROM ..., {path.sql('redshift')}: no SUPER column of a table before it")
    document, steps = found
    array = duck("CAST(json_extract(:document, :path) AS JSON[])", document=document, path=_json_path(steps))
    fields = [exp.alias_(exp.func("unnest", array), element)]
    if index is not None:
        fields.append(
            exp.alias_(
                exp.Sub(
                    this=exp.func("generate_subscripts", array.copy(), exp.Literal.number(1)),
                    expression=exp.Literal.number(1),
                ),
                index,
            )
        )
    rows = exp.Subquery(this=exp.select(*fields), alias=exp.TableAlias(this=exp.to_identifier(element)))
    join.set("this", exp.Lateral(this=rows.this.subquery(), alias=exp.TableAlias(this=exp.to_identifier(element))))
    join.set("kind", "CROSS")


def _resolved(node: exp.Expr, scope: _Scope) -> exp.Expr | None:
    """Return what ``node`` is in DuckDB; None for a plain column."""
    found = _document(node, scope)
    if found is None:
        if isinstance(node, exp.Column) and node.table.lower() in {"", *scope.tables} and not node.db:
            return None
        if isinstance(node, exp.Column) and node.db.lower() == "public":
            return None
        raise QueryRefused(
            f"{node.sql('redshift')}: no table of that name here, and no SUPER column of a table that this query names"
        )
    document, steps = found
    if not steps:
        return document if document != node else None
    _check_use(node)
    return duck("json_extract_string(:document, :path)", document=document, path=_json_path(steps))


def _document(node: exp.Expr, scope: _Scope) -> tuple[exp.Expr, _Steps] | None:
    """Return the JSON column that ``node`` begins with and the steps from there; None when it is none."""
    steps = _steps(node)
    if steps is None or not isinstance(steps[0], str):
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
            f"{shown}: cast a SUPER path before it is compared or counted with, {shown}::DECIMAL(18,2) for example"
        )
