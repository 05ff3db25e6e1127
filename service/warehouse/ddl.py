"""Translates Redshift's DDL for DuckDB: drops storage clauses, and refuses what has no counterpart."""

from functools import lru_cache

import sqlglot
from sqlglot import Token, TokenType, exp
from sqlglot.errors import SqlglotError

from service.kit.frame.errors import QueryRefused
from service.warehouse.messages import one_line

_YES_NO = {"YES", "NO"}
# Storage words of a column or table, which change no query result, with the number of words that follow each.
_STORAGE_WORDS = {"ENCODE": 1, "DISTSTYLE": 1, "BACKUP": 1}


def statements(sql: str) -> list[str]:
    """Return the statements of a file as written; empty statements and comments around statements are dropped."""
    found: list[str] = []
    start: int | None = None
    for token in _tokens(sql):
        if token.token_type is TokenType.SEMICOLON:
            if start is not None:
                found.append(sql[start : token.start])
            start = None
        elif start is None:
            start = token.start
    if start is not None:
        found.append(sql[start:])
    return [statement.strip() for statement in found]


def without_storage(sql: str) -> str:
    """Return a CREATE statement without ENCODE, DISTKEY, SORTKEY, DISTSTYLE, BACKUP and WITH NO SCHEMA BINDING.

    ``sqlglot`` 30 cannot parse a column's SORTKEY, keeps ENCODE, and knows neither BACKUP nor late-binding views.
    """
    tokens = _tokens(sql)
    kept: list[str] = []
    position = end = 0
    while position < len(tokens):
        length = _storage_length(tokens, position)
        token = tokens[position]
        if length:
            kept.append(sql[end : token.start])
            position += length
            end = tokens[position - 1].end + 1
        else:
            position += 1
    kept.append(sql[end:])
    return "".join(kept)


@lru_cache(maxsize=256)
def table_to_duckdb(sql: str) -> tuple[str, ...]:
    """Return a CREATE, ALTER or DROP for DuckDB: one statement, with a sequence before it for each IDENTITY column.

    A NOT NULL of an added column becomes a statement of its own: DuckDB cannot add a column with a constraint. Keys are
    dropped: Redshift does not enforce them, and merging keeps rows unique. What has no counterpart is refused.
    """
    try:
        tree = sqlglot.parse_one(without_storage(sql), read="redshift")
    except SqlglotError as err:
        raise QueryRefused(f"DDL cannot be read: {one_line(str(err))}") from None
    if not isinstance(tree, exp.Create | exp.Alter | exp.Drop):
        raise QueryRefused(f"a migration may CREATE, ALTER or DROP, not {tree.key.upper()}")
    if tree.find(exp.Query) or list(tree.find_all(exp.Property)):
        raise QueryRefused("a table is created from its columns alone, without AS SELECT, LIKE or further properties")
    for key in list(tree.find_all(exp.PrimaryKey, exp.PrimaryKeyColumnConstraint, exp.UniqueColumnConstraint)):
        (key.parent if isinstance(key.parent, exp.ColumnConstraint) else key).pop()
    for kind in list(tree.find_all(exp.DataType)):
        if kind.this is exp.DType.SUPER:
            kind.replace(exp.DataType.build("JSON"))
    sequences = [_sequence(identity, tree) for identity in list(tree.find_all(exp.GeneratedAsIdentityColumnConstraint))]
    required = _taken_out(tree) if isinstance(tree, exp.Alter) else []
    return (*sequences, tree.sql(dialect="duckdb"), *required)


def _taken_out(tree: exp.Alter) -> list[str]:
    """Take NOT NULL out of the columns that ``tree`` adds, and return the statements that add it afterwards."""
    statements_after = []
    for constraint in list(tree.find_all(exp.NotNullColumnConstraint)):
        column = constraint.find_ancestor(exp.ColumnDef)
        assert column is not None
        (constraint.parent or constraint).pop()
        statements_after.append(f"ALTER TABLE {tree.this.sql('duckdb')} ALTER COLUMN {column.name} SET NOT NULL")
    return statements_after


def _sequence(identity: exp.GeneratedAsIdentityColumnConstraint, tree: exp.Expr) -> str:
    column, table = identity.find_ancestor(exp.ColumnDef), tree.find(exp.Table)
    assert column is not None
    assert table is not None
    name = f"{table.name}_{column.name}_seq"
    start, step = (identity.args[part].sql() for part in ("start", "increment"))
    identity.replace(exp.DefaultColumnConstraint(this=exp.func("nextval", exp.Literal.string(name))))
    return f"CREATE SEQUENCE IF NOT EXISTS {name} START {start} INCREMENT {step}"


def _tokens(sql: str) -> list[Token]:
    try:
        return sqlglot.tokenize(sql, read="redshift")
    except SqlglotError as err:
        raise QueryRefused(f"SQL cannot be read: {one_line(str(err))}") from None


def _storage_length(tokens: list[Token], position: int) -> int:
    """Return how many tokens from ``position`` on form a storage clause; 0 if none begins there."""
    words = [token.text.upper() for token in tokens[position : position + 4]]
    if words[:4] == ["WITH", "NO", "SCHEMA", "BINDING"]:
        return 4
    first = words[0]
    if tokens[position].token_type in (TokenType.STRING, TokenType.IDENTIFIER):
        return 0
    if first in ("COMPOUND", "INTERLEAVED") and words[1:2] == ["SORTKEY"]:
        return 1 + _key_length(tokens, position + 1)
    if first in ("DISTKEY", "SORTKEY"):
        return _key_length(tokens, position)
    if first == "BACKUP" and (len(words) < 2 or words[1] not in _YES_NO):
        return 0
    return 1 + _STORAGE_WORDS[first] if first in _STORAGE_WORDS and len(words) > 1 else 0


def _key_length(tokens: list[Token], position: int) -> int:
    following = tokens[position + 1] if position + 1 < len(tokens) else None
    if following is not None and following.token_type is TokenType.L_PAREN:
        depth = 0
        for offset, token in enumerate(tokens[position + 1 :], start=1):
            depth += {TokenType.L_PAREN: 1, TokenType.R_PAREN: -1}.get(token.token_type, 0)
            if depth == 0:
                return offset + 1
    return 2 if following is not None and following.text.upper() == "AUTO" else 1
