"""Says what a deployment of a template changes, compared with the one that is kept: a line for each resource and parameter."""

from collections.abc import Iterator, Mapping
from typing import Any

from cfnlint.schema.manager import PROVIDER_SCHEMA_MANAGER

_REGION = "us-east-1"  # what makes a resource anew is the same in every region
# What goes with the content when a resource is made anew.
HOLDS_DATA = frozenset(
    {"AWS::DynamoDB::Table", "AWS::KMS::Key", "AWS::RDS::DBInstance", "AWS::RedshiftServerless::Namespace"}
    | {"AWS::S3::Bucket", "AWS::SQS::Queue", "AWS::SecretsManager::Secret"}
)
EMPTIED = "MADE ANEW, WITHOUT ITS CONTENT"
_INDEXES = "GlobalSecondaryIndexes"


def changes(kept: Mapping[str, Any], made: Mapping[str, Any]) -> list[str]:
    """Return what differs: ``+`` is added, ``-`` removed, ``~`` changed, with the properties that differ."""
    found = list(_parameters(kept.get("Parameters", {}), made.get("Parameters", {})))
    before, after = kept["Resources"], made["Resources"]
    for logical in sorted(before.keys() | after.keys()):
        if logical not in before:
            found.append(f"+ {logical} ({after[logical]['Type']})")
        elif logical not in after:
            kind = before[logical]["Type"]
            goes = kind in HOLDS_DATA and before[logical].get("DeletionPolicy") != "Retain"
            found.append(f"- {logical} ({kind}){', WITH ITS CONTENT' if goes else ''}")
        elif before[logical] != after[logical]:
            found.append(_changed(logical, before[logical], after[logical]))
    return found


def _parameters(kept: Mapping[str, Any], made: Mapping[str, Any]) -> Iterator[str]:
    for name in sorted(kept.keys() | made.keys()):
        if kept.get(name) != made.get(name):
            sign = "+" if name not in kept else "-" if name not in made else "~"
            yield f"{sign} parameter {name}"


def _changed(logical: str, kept: Mapping[str, Any], made: Mapping[str, Any]) -> str:
    old, new, kind = kept.get("Properties", {}), made.get("Properties", {}), made["Type"]
    differing = sorted(name for name in old.keys() | new.keys() if old.get(name) != new.get(name))
    what = ", ".join(differing) or "order, policies or metadata"
    said = f"~ {logical} ({kind}): {what}"
    if kind != kept["Type"] or set(differing) & _made_anew_by(kind):
        said += f": {EMPTIED if kind in HOLDS_DATA else 'made anew'}"
    if len(_indexes(old) ^ _indexes(new)) > 1:
        said += ": CloudFormation adds or removes one index of a table in a deployment: do it one after the other"
    return said


def _made_anew_by(kind: str) -> set[str]:
    """Return the properties whose change makes AWS replace a resource."""
    schema = PROVIDER_SCHEMA_MANAGER.get_resource_schema(_REGION, kind).schema
    paths = [*schema.get("createOnlyProperties", ()), *schema.get("conditionalCreateOnlyProperties", ())]
    return {path.removeprefix("/properties/") for path in paths if path.count("/") == 2}


def _indexes(properties: Mapping[str, Any]) -> set[str]:
    return {index["IndexName"] for index in properties.get(_INDEXES) or ()}
