"""Makes tables, buckets, queues and keys in the local AWS from the template that AWS gets."""

import json
import time
from collections.abc import Iterator
from typing import Any

from service.kit.aws.bounded import translated
from service.kit.aws.clients import client
from service.kit.aws.stores import TABLES
from service.kit.aws.tables import complete_table, expire
from service.kit.frame.errors import StoreError
from service.kit.settings import Settings
from service.local.stores.template import BUCKET, KEY, QUEUE, TABLE, PresentStore, StoreTemplate

_STACK = "omni-data"
_LOOK_S = 0.02
_MOST_S = 60.0


def deploy_stores(settings: Settings) -> bool:
    """Deploy what the template holds and the endpoint lacks as a new stack; return whether anything was lacking.

    What is there stays as it is, whoever made it, with its content: a table that lacks an index gets it, a bucket that announces
    other objects than the template says is corrected. CloudFormation refuses, or here replaces, what another stack made.

    Raises:
        ConfigurationError: the template cannot be read, or a table of a name has other keys.
        StoreError: the endpoint does not answer, or refuses the template.
    """
    template = StoreTemplate(settings)
    with translated("the local AWS"):
        account = _Account(settings)
        try:
            present = account.present(template)
            lacking = template.without(present)
            if lacking is not None:
                account.create(lacking, template)
            account.correct(template, present, account.present(template) if lacking is not None else present)
        finally:
            account.close()
    return lacking is not None


class _Account:
    """The clients of one endpoint."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._clients: dict[str, Any] = {}

    def __getitem__(self, service: str) -> Any:
        if service not in self._clients:
            self._clients[service] = client(service, self._settings)
        return self._clients[service]

    def close(self) -> None:
        for made in self._clients.values():
            made.close()

    def present(self, template: StoreTemplate) -> dict[str, PresentStore]:
        """Return the template's stores that exist, by logical id."""
        found: dict[str, PresentStore] = {}
        finders = {TABLE: self._tables, BUCKET: self._buckets, QUEUE: self._queues, KEY: self._keys}
        for kind, stores in finders.items():
            names = template.names(kind)
            there = dict(stores(frozenset(names.values())))
            found |= {logical: there[name] for logical, name in names.items() if name in there}
        return found

    def _tables(self, names: frozenset[str]) -> Iterator[tuple[str, PresentStore]]:
        for page in self["dynamodb"].get_paginator("list_tables").paginate():
            for name in names.intersection(page["TableNames"]):
                yield name, PresentStore(ref=name, arn=f"arn:aws:dynamodb:{self._settings.aws.region}::table/{name}")

    def _buckets(self, names: frozenset[str]) -> Iterator[tuple[str, PresentStore]]:
        for name in names.intersection(bucket["Name"] for bucket in self["s3"].list_buckets()["Buckets"]):
            yield name, PresentStore(ref=name, arn=f"arn:aws:s3:::{name}")

    def _queues(self, names: frozenset[str]) -> Iterator[tuple[str, PresentStore]]:
        for page in self["sqs"].get_paginator("list_queues").paginate():
            for url in (one for one in page.get("QueueUrls", []) if one.rpartition("/")[2] in names):
                found = self["sqs"].get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])
                yield url.rpartition("/")[2], PresentStore(ref=url, arn=found["Attributes"]["QueueArn"])

    def _keys(self, names: frozenset[str]) -> Iterator[tuple[str, PresentStore]]:
        for page in self["kms"].get_paginator("list_aliases").paginate():
            for alias in page["Aliases"]:
                if alias["AliasName"] in names:
                    key = self["kms"].describe_key(KeyId=alias["TargetKeyId"])["KeyMetadata"]
                    yield alias["AliasName"], PresentStore(ref=key["KeyId"], arn=key["Arn"])

    def create(self, body: dict[str, Any], template: StoreTemplate) -> None:
        """Create the next stack of this endpoint and wait until it stands.

        Raises:
            StoreError: it does not stand; the message holds CloudFormation's reason.
        """
        formation = self["cloudformation"]
        made_before = sum(
            stack["StackName"].startswith(_STACK)
            for page in formation.get_paginator("list_stacks").paginate()
            for stack in page["StackSummaries"]
        )
        name = f"{_STACK}-{made_before + 1}"
        parameters = [{"ParameterKey": key, "ParameterValue": value} for key, value in template.parameters.items()]
        formation.create_stack(StackName=name, TemplateBody=json.dumps(body), Parameters=parameters)
        until = time.monotonic() + _MOST_S
        while time.monotonic() < until:
            (stack,) = formation.describe_stacks(StackName=name)["Stacks"]
            if stack["StackStatus"] == "CREATE_COMPLETE":
                return
            if not stack["StackStatus"].endswith("_IN_PROGRESS"):
                raise StoreError(f"the local AWS refused stack {name!r}: {self._why(name) or stack['StackStatus']}")
            time.sleep(_LOOK_S)
        raise StoreError(f"stack {name!r} did not stand within {_MOST_S:.0f} s")

    def _why(self, name: str) -> str:
        events = self["cloudformation"].describe_stack_events(StackName=name)["StackEvents"]
        return "; ".join(
            f"{event['LogicalResourceId']}: {event['ResourceStatusReason']}"
            for event in events
            if event["ResourceStatus"].endswith("FAILED") and event.get("ResourceStatusReason")
        )

    def correct(
        self, template: StoreTemplate, before: dict[str, PresentStore], stores: dict[str, PresentStore]
    ) -> None:
        """Do what the local AWS leaves out of a template (a table's time to live), and what an older checkout did not know."""
        shapes = {self._settings.flat()[shape.setting]: shape for shape in TABLES}
        for logical, name in template.names(TABLE).items():
            if logical in before:
                complete_table(self["dynamodb"], shapes[name], name)
            else:
                expire(self["dynamodb"], shapes[name], name)
        for logical, name in template.names(BUCKET).items():
            wanted = template.properties(logical).get("NotificationConfiguration")
            if logical in before and wanted is not None:
                self._announce(name, wanted["QueueConfigurations"], stores)

    def _announce(self, bucket: str, wanted: list[dict[str, Any]], stores: dict[str, PresentStore]) -> None:
        rules = [
            {
                "QueueArn": stores[one["Queue"]["Fn::GetAtt"][0]].arn,
                "Events": [one["Event"]],
                **({"Filter": {"Key": {"FilterRules": _rules(one)}}} if "Filter" in one else {}),
            }
            for one in wanted
        ]
        told = self["s3"].get_bucket_notification_configuration(Bucket=bucket).get("QueueConfigurations", [])
        if sorted(map(_told, told)) != sorted(map(_told, rules)):
            self["s3"].put_bucket_notification_configuration(
                Bucket=bucket, NotificationConfiguration={"QueueConfigurations": rules}
            )


def _rules(announced: dict[str, Any]) -> list[dict[str, str]]:
    return [{"Name": rule["Name"], "Value": rule["Value"]} for rule in announced["Filter"]["S3Key"]["Rules"]]


def _told(rule: dict[str, Any]) -> tuple[str, str]:
    prefixes = rule.get("Filter", {}).get("Key", {}).get("FilterRules", [])
    return rule["QueueArn"], "".join(one["Value"] for one in prefixes)
