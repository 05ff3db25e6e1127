"""The data stack's template as the local AWS gets it: with this machine's names, and without what is there already."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from service.kit.frame.errors import ConfigurationError
from service.kit.settings import REPO_ROOT, Settings

TEMPLATE = REPO_ROOT / "infra" / "cdk" / "templates" / "dev" / "omni-data.json"
TABLE, BUCKET, QUEUE = "AWS::DynamoDB::Table", "AWS::S3::Bucket", "AWS::SQS::Queue"
KEY, _ALIAS = "AWS::KMS::Key", "AWS::KMS::Alias"
_NAMED = {TABLE: "TableName", BUCKET: "BucketName", QUEUE: "QueueName", _ALIAS: "AliasName"}
# What a policy belongs to: it goes with the queue or bucket.
_OWNERS = {"AWS::SQS::QueuePolicy": "Queues", "AWS::S3::BucketPolicy": "Bucket"}


@dataclass(frozen=True, slots=True, kw_only=True)
class PresentStore:
    """A store that the account has: what CloudFormation's ``Ref`` and ``GetAtt Arn`` of it return."""

    ref: str
    arn: str


class StoreTemplate:
    """The template with the names of ``settings``."""

    def __init__(self, settings: Settings, *, file: Path = TEMPLATE) -> None:
        """Read the template.

        Raises:
            ConfigurationError: the template is missing or no JSON.
        """
        try:
            self._template: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
        except (OSError, ValueError) as err:
            raise ConfigurationError(f"cannot read the template of the local stores, {file}: {err}") from err
        names = {f"{_pascal(name)}Name": value for name, value in settings.flat().items()}
        # The interactions belong to another system on AWS, and bucket names must be unique there alone.
        names |= {"InteractionsAreOurs": "true", "BucketSuffix": ""}
        self.parameters = {
            name: str(names.get(name, parameter["Default"])) for name, parameter in self._template["Parameters"].items()
        }

    def names(self, kind: str) -> dict[str, str]:
        """Return the names of all stores of a resource type by logical id; a key's name is its alias."""
        if kind == KEY:
            aliases = self._resources(_ALIAS).values()
            return {_target(one["TargetKeyId"]): self._text(one["AliasName"]) for one in aliases}
        return {logical: self._text(one[_NAMED[kind]]) for logical, one in self._resources(kind).items()}

    def properties(self, logical: str) -> dict[str, Any]:
        """Return a resource's properties with names filled in."""
        filled: dict[str, Any] = self._filled(self._template["Resources"][logical]["Properties"], {})
        return filled

    def without(self, present: Mapping[str, PresentStore]) -> dict[str, Any] | None:
        """Return the template of what is not ``present`` (by logical id), None if nothing is left."""
        gone = set(present) | {
            logical for logical, resource in self._template["Resources"].items() if _owner(resource) in present
        }
        kept = {logical: one for logical, one in self._template["Resources"].items() if logical not in gone}
        if not kept:
            return None
        resources = {}
        for logical, resource in kept.items():
            needs = [other for other in _as_list(resource.get("DependsOn")) if other not in gone]
            plain = {name: value for name, value in resource.items() if name != "DependsOn"}
            resources[logical] = self._filled(plain, present) | ({"DependsOn": needs} if needs else {})
        top = {name: self._template[name] for name in ("Description", "Parameters", "Conditions")}
        return top | {"Resources": resources}

    def _resources(self, kind: str) -> dict[str, dict[str, Any]]:
        found = self._template["Resources"].items()
        return {logical: resource["Properties"] for logical, resource in found if resource["Type"] == kind}

    def _text(self, value: Any) -> str:
        return str(self._filled(value, {}))

    def _filled(self, value: Any, present: Mapping[str, PresentStore]) -> Any:
        """``value`` with parameters and present stores in place of references to them."""
        if isinstance(value, list):
            return [self._filled(item, present) for item in value]
        if not isinstance(value, dict):
            return value
        if set(value) == {"Ref"}:
            name = value["Ref"]
            return present[name].ref if name in present else self.parameters.get(name, value)
        if set(value) == {"Fn::GetAtt"} and value["Fn::GetAtt"][0] in present:
            return present[value["Fn::GetAtt"][0]].arn
        filled = {name: self._filled(item, present) for name, item in value.items()}
        if set(filled) == {"Fn::Join"} and all(isinstance(part, str) for part in filled["Fn::Join"][1]):
            return filled["Fn::Join"][0].join(filled["Fn::Join"][1])
        return filled


def _pascal(name: str) -> str:
    return "".join(part.capitalize() for part in name.split("_"))


def _target(reference: Mapping[str, Any]) -> str:
    return str(reference["Fn::GetAtt"][0])


def _owner(resource: Mapping[str, Any]) -> str | None:
    """The logical id of the store that a policy or alias belongs to; None for a store."""
    if resource["Type"] == _ALIAS:
        return _target(resource["Properties"]["TargetKeyId"])
    if resource["Type"] not in _OWNERS:
        return None
    (owner,) = _as_list(resource["Properties"][_OWNERS[resource["Type"]]])
    return str(owner["Ref"])


def _as_list(value: Any) -> Iterable[Any]:
    return value if isinstance(value, list) else [] if value is None else [value]
