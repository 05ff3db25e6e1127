"""Redshift's SELECT for DuckDB."""

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError

from service.errors import QueryRefused
from service.warehouse.ddl import statements, without_storage
from service.warehouse.messages import one_line


def query_to_duckdb(sql: str) -> str:
    """Return one SELECT for DuckDB.

    Raises:
        QueryRefused: it is not one SELECT.
    """
    found = statements(sql)
    if len(found) != 1:
        raise QueryRefused(f"a query is one SELECT; this text has {len(found)} statements")
    try:
        tree = sqlglot.parse_one(found[0], read="redshift")
    except SqlglotError as err:
        raise QueryRefused(one_line(str(err))) from None
    if not isinstance(tree, exp.Query):
        raise QueryRefused(f"only SELECT: the warehouse is read here, and this is {tree.key.upper()}")
    return tree.sql(dialect="duckdb")


def view_to_duckdb(sql: str) -> str:
    """Return a CREATE OR REPLACE VIEW for DuckDB."""
    tree = sqlglot.parse_one(without_storage(sql), read="redshift")
    return tree.sql(dialect="duckdb")
