"""Whether a role's policies allow a request to AWS: actions, resources, and the conditions on tables' keys and objects' prefixes.

Other conditions (regions, tags, encryption contexts) count as fulfilled here; ``infra/cdk/tests`` reads those of the walls.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from functools import cache
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from service.kit.aws.stores import TABLES
from service.kit.settings import setting_places

PolicyStatement = Mapping[str, Any]
_TRANSACTED = {"Put": "PutItem", "Update": "UpdateItem", "Delete": "DeleteItem", "ConditionCheck": "ConditionCheckItem"}
# Whoever restores a table writes it:
# https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/backuprestore_IAM.html
_RESTORES = ("BatchWriteItem", "DeleteItem", "GetItem", "PutItem", "Query", "Scan", "UpdateItem")
_S3 = {"GET": "GetObject", "HEAD": "GetObject", "PUT": "PutObject", "DELETE": "DeleteObject"}
_LEADING, _PREFIX = "dynamodb:LeadingKeys", "s3:prefix"


@dataclass(frozen=True, slots=True, kw_only=True)
class Need:
    """One right that a request needs; ``values`` are what conditions of its kind are compared with."""

    action: str
    resource: str
    values: Mapping[str, Sequence[str]] = field(default_factory=dict)

    def __str__(self) -> str:
        """Return it as AWS's messages name it."""
        return f"{self.action} on {self.resource}"


def allows(statements: Sequence[PolicyStatement], need: Need) -> bool:
    """Return whether a statement allows ``need`` and none denies it."""
    if need.action == "sts:GetCallerIdentity":
        return True  # everybody may ask who they are: docs.aws.amazon.com/STS/latest/APIReference/API_GetCallerIdentity.html
    fitting = [one for one in statements if _fits(one, need)]
    return any(one["Effect"] == "Allow" for one in fitting) and not any(one["Effect"] == "Deny" for one in fitting)


def _fits(statement: PolicyStatement, need: Need) -> bool:
    if "Action" not in statement or "Resource" not in statement:
        return False
    return (
        any(fnmatchcase(need.action.lower(), str(one).lower()) for one in _listed(statement["Action"]))
        and any(need.resource == "*" or fnmatchcase(need.resource, str(one)) for one in _listed(statement["Resource"]))
        and _holds(statement, need)
    )


def _holds(statement: PolicyStatement, need: Need) -> bool:
    for compared in statement.get("Condition", {}).values():
        for name, wanted in compared.items():
            if name in (_LEADING, _PREFIX):
                given = need.values.get(name)
                if given is None:
                    return False
                if not all(any(fnmatchcase(value, str(one)) for one in _listed(wanted)) for value in given):
                    return False
            elif statement["Effect"] == "Deny":
                return False  # what denies under a condition that is not read here is tested with the templates
    return True


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


@dataclass(frozen=True, slots=True, kw_only=True)
class AwsRequest:
    """A request as it came: ``service`` and ``region`` are those that it is signed for."""

    service: str
    region: str
    method: str
    target: str  # with the query
    headers: Mapping[str, str]  # names in lower case
    body: bytes

    def needs(self, account: str) -> list[Need]:
        """Return the rights that it needs; for a service that is not read in detail, its operation on any resource."""
        if self.service == "s3":
            return list(self._of_objects())
        operation = self.headers.get("x-amz-target", "").rpartition(".")[2]
        given = json.loads(self.body) if operation and self.body else {}
        if self.service == "dynamodb":
            return list(self._of_tables(operation, given, f"arn:aws:dynamodb:{self.region}:{account}:table/"))
        if self.service == "kms" and str(given.get("KeyId", "")).startswith("arn:"):
            return [Need(action=f"kms:{operation}", resource=given["KeyId"])]
        if self.service == "sqs":
            name = (
                given.get("QueueName") or re.split("[/:]", str(given.get("QueueUrl", given.get("SourceArn", ""))))[-1]
            )
            return [
                Need(
                    action=f"sqs:{operation.removesuffix('Batch')}",
                    resource=f"arn:aws:sqs:{self.region}:{account}:{name}",
                )
            ]
        if self.service == "secretsmanager":
            name = str(given.get("SecretId", "*"))
            whole = name if name.startswith("arn:") else f"arn:aws:secretsmanager:{self.region}:{account}:secret:{name}"
            return [Need(action=f"secretsmanager:{operation}", resource=whole)]
        return [Need(action=f"{self.service}:{operation or self._query().get('Action', self.method)}", resource="*")]

    def _query(self) -> dict[str, str]:
        form = (
            self.body.decode("utf-8", "replace")
            if self.headers.get("content-type", "").startswith("application/x-www-form")
            else ""
        )
        return dict(parse_qsl(urlsplit(self.target).query, keep_blank_values=True)) | dict(parse_qsl(form))

    def _of_tables(self, operation: str, given: Mapping[str, Any], tables: str) -> Iterator[Need]:
        for each in given.get("TransactItems", ()):
            for kind, one in each.items():
                yield _of_table(_TRANSACTED.get(kind, "GetItem"), tables, one["TableName"], [_item(one)])
        for name, requested in given.get("RequestItems", {}).items():
            written = [_item(next(iter(one.values()))) for one in requested] if isinstance(requested, list) else []
            yield _of_table(operation, tables, name, written)
        if "TableName" in given:
            index = f"/index/{given['IndexName']}" if "IndexName" in given else ""
            yield _of_table(operation, tables, f"{given['TableName']}{index}", [_item(given)])
        if "TargetTableName" in given:
            source = str(given.get("BackupArn", "")).partition(":table/")[2] or given.get("SourceTableName", "")
            yield Need(action=f"dynamodb:{operation}", resource=f"{tables}{source}")
            for writes in _RESTORES:
                yield Need(action=f"dynamodb:{writes}", resource=f"{tables}{given['TargetTableName']}")
        if operation in ("ListTables", "DescribeLimits"):
            yield Need(action=f"dynamodb:{operation}", resource="*")

    def _of_objects(self) -> Iterator[Need]:
        query = self._query()
        bucket, _, key = unquote(urlsplit(self.target).path).lstrip("/").partition("/")
        arn = f"arn:aws:s3:::{bucket}"
        if not key:
            if self.method == "POST" and "delete" in query:
                for found in re.findall(r"<Object>(.*?)</Object>", self.body.decode("utf-8"), re.DOTALL):
                    name = re.search(r"<Key>(.*?)</Key>", found)
                    version = "Version" if "<VersionId>" in found else ""
                    yield Need(action=f"s3:DeleteObject{version}", resource=f"{arn}/{name[1] if name else ''}")
                return
            listing = "s3:ListBucketVersions" if "versions" in query else "s3:ListBucket"
            yield Need(action=listing, resource=arn, values={_PREFIX: [query.get("prefix", "")]})
            return
        action = _S3.get(self.method, f"{self.method}Object")
        yield Need(action=f"s3:{action}{'Tagging' if 'tagging' in query else ''}", resource=f"{arn}/{key}")


def _of_table(operation: str, tables: str, name: str, items: list[Mapping[str, Any]]) -> Need:
    partition = _partitions().get(name.partition("/")[0], "")
    keys = [str(item[partition]["S"]) for item in items if partition in item]
    return Need(action=f"dynamodb:{operation}", resource=f"{tables}{name}", values={_LEADING: keys} if keys else {})


@cache
def _partitions() -> dict[str, str]:
    """Return the partition key of each table by the name that it has in production."""
    names = {shape.setting: shape.partition for shape in TABLES}
    defaults = {place: field.default for place, (_, _, field) in setting_places().items() if place in names}
    return {str(defaults[setting]): partition for setting, partition in names.items()}


def _item(given: Mapping[str, Any]) -> Mapping[str, Any]:
    return given.get("Item") or given.get("Key") or {}
