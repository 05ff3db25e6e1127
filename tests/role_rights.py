"""What a role of the committed templates may do, and which rights the calls of a test's code need."""

import json
import re
from fnmatch import fnmatchcase
from pathlib import Path

from botocore.client import BaseClient

_TEMPLATE = Path(__file__).resolve().parents[1] / "infra" / "cdk" / "templates" / "prod" / "omni-service.json"
_IMPORTED = re.compile(r"omni-data:ExportsOutput(?:FnGetAtt)?(\w+?)(?:[0-9A-F]{8})?Arn[0-9A-F]{8}")
_IN_TRANSACTION = {
    "Put": "PutItem",
    "Update": "UpdateItem",
    "Delete": "DeleteItem",
    "ConditionCheck": "ConditionCheckItem",
}


class Role:
    """Statements of the policies of one role; ``name`` begins the logical ids of these policies."""

    def __init__(self, name):
        resources = json.loads(_TEMPLATE.read_text(encoding="utf-8"))["Resources"]
        policies = [
            one
            for logical, one in resources.items()
            if logical.startswith(name) and one["Type"] in ("AWS::IAM::Policy", "AWS::IAM::ManagedPolicy")
        ]
        assert policies, f"no policy of a role {name!r}"
        self.statements = [
            statement
            for one in policies
            for statement in one["Properties"]["PolicyDocument"]["Statement"]
            if statement["Effect"] == "Allow"
        ]

    def may(self, action, resource, prefix=""):
        """Whether ``action`` is allowed on ``resource``: a store's logical id, for objects with a slash and their key."""
        for statement in self.statements:
            listed = statement.get("Condition", {}).get("StringLike", {}).get("s3:prefix", "*")
            if (
                action in _listed(statement["Action"])
                and any(fnmatchcase(resource, _name(one)) for one in _listed(statement["Resource"]))
                and any(fnmatchcase(prefix, one) for one in _listed(listed))
            ):
                return True
        return False


def _listed(value):
    return value if isinstance(value, list) else [value]


def _name(resource):
    """A statement's resource with the logical id in place of the ARN of a store."""
    parts = resource["Fn::Join"][1] if isinstance(resource, dict) and "Fn::Join" in resource else [resource]
    texts = [json.dumps(part) if isinstance(part, dict) else part for part in parts]
    found = [_IMPORTED.search(text) for text in texts]
    return "".join(match[1] if match else text for match, text in zip(found, texts, strict=True))


class RightsNeeded:
    """Notes what each call to a store needs: ``(action, resource, prefix)``, as ``Role.may`` takes it."""

    def __init__(self, monkeypatch, settings):
        self.found = set()
        self._names = {str(name): setting for setting, name in settings.flat().items() if isinstance(name, str)}
        called = BaseClient._make_api_call

        def noted(client, operation, parameters):
            self.found |= set(self._needs(client.meta.service_model.service_name, operation, parameters))
            return called(client, operation, parameters)

        monkeypatch.setattr(BaseClient, "_make_api_call", noted)

    def _needs(self, service, operation, given):
        if service == "dynamodb":
            yield from self._of_table(operation, given)
        elif service == "s3":
            yield from self._of_objects(operation, given)
        elif service == "kms":  # a sealed text knows its key, which its context tells us
            names = " ".join(given.get("EncryptionContext", ()))
            key = "CallbacksKmsKey" if "callback" in names or "voicemail" in names else "AccessKmsKey"
            yield f"kms:{operation}", key, ""
        elif service == "sqs":
            queue = given.get("QueueName") or given["QueueUrl"].rpartition("/")[2]
            yield f"sqs:{operation.removesuffix('Batch')}", self._logical(queue), ""

    def _of_table(self, operation, given):
        for each in given.get("TransactItems", ()):
            for kind, one in each.items():
                yield f"dynamodb:{_IN_TRANSACTION[kind]}", self._logical(one["TableName"]), ""
        for table in given.get("RequestItems", ()):
            yield f"dynamodb:{operation}", self._logical(table), ""
        if "TableName" in given:
            yield f"dynamodb:{operation}", self._logical(given["TableName"]), ""

    def _of_objects(self, operation, given):
        bucket = self._logical(given["Bucket"])
        if operation.startswith("ListObject"):
            versions = "Versions" if operation == "ListObjectVersions" else ""
            yield f"s3:ListBucket{versions}", bucket, given.get("Prefix", "")
        elif operation == "DeleteObjects":
            for one in given["Delete"]["Objects"]:
                yield f"s3:DeleteObject{'Version' if 'VersionId' in one else ''}", f"{bucket}/{one['Key']}", ""
        else:
            action = "GetObject" if operation == "HeadObject" else operation
            yield f"s3:{action}", f"{bucket}/{given['Key']}", ""

    def _logical(self, name):
        return "".join(part.capitalize() for part in self._names[name].split("_"))

    def not_of(self, role):
        """What the role may not do of all that was called."""
        return sorted(need for need in self.found if not role.may(*need))
