"""Whether the warehouse's roles let each workload do what its statements do.

Redshift is not here: the statements that its adapter sends are read by sqlglot, and compared with the grants of
``infra/warehouse`` and with the database role that the tag of each role of IAM names.
"""

import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

import sqlglot
from sqlglot import exp

from omni.deploying.rehearsal.templates import Template, resources
from service.kit.settings import Settings
from service.warehouse import schema
from service.warehouse.ddl import without_storage
from service.warehouse.events import LoadEvent
from service.warehouse.redshift import RedshiftWarehouse
from service.warehouse.rows import to_table

TAG = "RedshiftDbRoles"
_GRANT = re.compile(
    r"ALTER DEFAULT PRIVILEGES IN SCHEMA public\s+GRANT\s+([\w, ]+?)\s+ON TABLES TO ROLE (\w+)", re.IGNORECASE
)
_ALL = frozenset({"SELECT", "INSERT", "UPDATE", "DELETE", "ALTER", "DROP"})
# What each workload's code asks of the warehouse; the callbacks worker asks it nothing.
_DOES = {
    "Service": ("query",),
    "Calls": ("migrate", "merge", "remove", "query"),
    "Schedule": ("migrate", "merge", "remove", "query"),
    "Erasure": ("remove", "query"),
}


class _Data:
    """Redshift's Data API that notes statements: all of them succeed, on an empty warehouse."""

    def __init__(self) -> None:
        self.sent: list[str] = []

    def batch_execute_statement(self, *, Sqls: list[str], **_: Any) -> dict[str, Any]:  # noqa: N803
        self.sent += Sqls
        return {"Id": "1"}

    def execute_statement(self, *, Sql: str, **_: Any) -> dict[str, Any]:  # noqa: N803
        self.sent.append(Sql)
        return {"Id": "1"}

    def describe_statement(self, **_: Any) -> dict[str, Any]:
        return {"Status": "FINISHED"}

    def get_statement_result(self, **_: Any) -> dict[str, Any]:
        columns = [{"name": name, "typeName": "int4"} for name in ("version", "known")]
        return {"ColumnMetadata": columns, "Records": [[{"longValue": 0}, {"longValue": 0}]]}


class _Bucket:
    def put_object(self, **_: Any) -> None:
        """Take what is staged for COPY."""


def sent() -> dict[str, list[str]]:
    """Return the statements of each thing that is done with the warehouse."""
    found: dict[str, list[str]] = {}
    row = {
        "object_key": "k", "etag": "e", "kind": "summary", "outcome": "loaded", "reason": None, "row_count": 1,
        "loaded_at": datetime(2026, 1, 1, tzinfo=UTC),
    }  # fmt: skip
    for what in ("migrate", "merge", "remove", "query"):
        data = _Data()
        warehouse = RedshiftWarehouse(data, _Bucket(), Settings(redshift_workgroup="rehearsed"))
        if what == "migrate":
            warehouse.migrate()
        elif what == "merge":
            warehouse.merge(LoadEvent, to_table(LoadEvent, [row]))
        elif what == "remove":
            warehouse.remove(LoadEvent, "object_key", ["k"])
        else:
            for name, _ in schema.views():
                warehouse.query(f"SELECT COUNT(*) AS n FROM {name}")  # noqa: S608  a name of our own
        found[what] = data.sent
    return found


def lacking(template: Template) -> list[str]:
    """Return what a workload of the service's template does and may not do."""
    made = set(re.findall(r"CREATE ROLE (\w+)", schema.roles()))
    granted = {role: _privileges(text) for text, role in _GRANT.findall(schema.grants())}
    statements, problems = sent(), []
    for name, tags in _signing_in(template):
        wanted = {need for what in _DOES[name] for sql in statements[what] for need in _needs(sql)}
        role = tags.get(TAG)
        if role is None:
            problems.append(f"{name} signs in as a user of its own, with no role by the tag {TAG}")
        elif role not in made:
            problems.append(f"{name} has the role {role}, which nobody makes")
        elif missing := sorted(wanted - granted.get(role, frozenset())):
            problems.append(f"{name} may not {', '.join(missing)} as {role}")
    own = statements["migrate"]
    opened = max((number for number, sql in enumerate(own) if _GRANT.search(sql)), default=len(own))
    if any("CREATE TABLE" in sql for sql in own[:opened]):
        problems.append("tables are made before it is said who may use them")
    return problems


def _signing_in(template: Template) -> Iterator[tuple[str, Mapping[str, str]]]:
    """Yield the workloads whose role may ask the warehouse, with the role's tags."""
    policies = [
        *resources(template, "AWS::IAM::Policy").values(),
        *resources(template, "AWS::IAM::ManagedPolicy").values(),
    ]
    for logical, role in resources(template, "AWS::IAM::Role").items():
        mine = [one for one in policies if {"Ref": logical} in one.get("Roles", ())]
        if any("redshift-data:ExecuteStatement" in str(one["PolicyDocument"]) for one in mine):
            (name,) = (name for name in _DOES if logical.startswith(name))
            yield name, {tag["Key"]: tag["Value"] for tag in role.get("Tags", ())}


def _privileges(text: str) -> frozenset[str]:
    words = frozenset(word.strip().upper() for word in text.split(","))
    return _ALL if words & {"ALL", "ALL PRIVILEGES"} else words


def _needs(sql: str) -> set[str]:
    """Return the privileges on tables that a statement needs beyond those on what its user made."""
    if sql.lstrip().upper().startswith(("ALTER DEFAULT PRIVILEGES", "COPY ", "DROP TABLE IF EXISTS", "CREATE TABLE")):
        return set()  # on a table of its own
    tree = sqlglot.parse_one(without_storage(sql), read="redshift")
    if isinstance(tree, exp.Alter):
        return {"ALTER"}
    if isinstance(tree, exp.Merge):
        return {"SELECT", "INSERT", "UPDATE"}
    if isinstance(tree, exp.Delete):
        return {"SELECT", "DELETE"}
    return {"SELECT", "INSERT"} if isinstance(tree, exp.Insert) else {"SELECT"}
