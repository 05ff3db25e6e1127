"""Tenants in DynamoDB: item ``META#v1`` of each partition ``TENANT#<id>`` of the table that also holds their forms."""

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from botocore.exceptions import ClientError
from pydantic import ValidationError

from service.calls.tenants.tenant import Tenant, TenantSettings, TenantState
from service.kit.aws.bounded import StoreThreads, translated
from service.kit.aws.stores import CONFIG
from service.kit.frame.errors import ServiceError, StoreError
from service.kit.settings import Settings

META = "META#v1"
_PARTITION = "TENANT#"
_LOST = "ConditionalCheckFailedException"
# The name that the table has had from the beginning.
_ATTRIBUTES = {"model": "bedrockModel"}
_JSON = frozenset({"regions", "tags"})


class TenantMissing(ServiceError):
    """There is no such tenant."""

    status = 404


class TenantChanged(ServiceError):
    """The tenant is not in the state that a change needs, or exists already; the message says what to do."""

    status = 409


class TenantStore:
    """Reads and writes tenants. Blocking; every method raises ``StoreError`` when DynamoDB does not answer."""

    def __init__(self, client: Any, table: str, *, timeout_s: float) -> None:
        """``timeout_s`` bounds each access by ``threads``, which runs these methods for callers on the event loop."""
        self._client = client
        self._table = table
        self._store = f"table {table!r}"
        self.threads = StoreThreads(self._store, timeout_s=timeout_s)

    def get(self, tenant: str) -> Tenant | None:
        """Return the tenant, or None."""
        with translated(self._store):
            found = self._client.get_item(TableName=self._table, Key=_key(tenant), ConsistentRead=True)
        return _tenant(found["Item"]) if "Item" in found else None

    def all(self) -> list[Tenant]:
        """Return all tenants by id. Reads the whole table, which holds forms besides."""
        asked = {
            "TableName": self._table,
            "FilterExpression": f"{CONFIG.sort} = :meta",
            "ExpressionAttributeValues": {":meta": {"S": META}},
        }
        with translated(self._store):
            pages = self._client.get_paginator("scan").paginate(**asked)
            found = [_tenant(item) for page in pages for item in page["Items"]]
        return sorted(found, key=lambda one: one.tenant)

    def add(self, tenant: Tenant) -> bool:
        """Add a tenant; return False and change nothing when it exists."""
        item = _key(tenant.tenant) | _texts(tenant.model_dump(mode="json", exclude={"tenant"}))
        with translated(self._store):
            try:
                self._client.put_item(TableName=self._table, Item=item, ConditionExpression="attribute_not_exists(pk)")
            except ClientError as err:
                if _code(err) == _LOST:
                    return False
                raise
        return True

    def vocabulary(self, tenant: str) -> str | None:
        """Return the name of the tenant's custom vocabulary in Amazon Transcribe, or None."""
        known = self.get(tenant)
        return None if known is None else known.vocabulary

    def tags(self, tenant: str) -> dict[str, str]:
        """Return the tags by which the tenant's bills are split; none if there is no such tenant."""
        known = self.get(tenant)
        return {} if known is None else dict(known.tags)

    def configure(self, tenant: str, wanted: TenantSettings) -> Tenant:
        """Replace a tenant's settings and return it.

        Raises:
            TenantMissing: there is no such tenant.
        """
        return self._change(tenant, wanted.model_dump(mode="json"), ("active", "suspended"))

    def move(
        self, tenant: str, state: TenantState, *, from_states: tuple[TenantState, ...], by: str, why: str, now: datetime
    ) -> Tenant:
        """Put a tenant into another state and return it.

        Raises:
            TenantMissing: there is no such tenant.
            TenantChanged: it is in none of ``from_states``.
        """
        at = now.isoformat(timespec="milliseconds")
        return self._change(tenant, {"state": state, "state_at": at, "state_by": by, "state_why": why}, from_states)

    def _change(self, tenant: str, fields: Mapping[str, Any], from_states: tuple[TenantState, ...]) -> Tenant:
        texts = _texts(fields)
        gone = [_ATTRIBUTES.get(name, name) for name in fields if _ATTRIBUTES.get(name, name) not in texts]
        names = {f"#{name}": name for name in (*texts, *gone, "state")}
        states = {f":from{number}": {"S": state} for number, state in enumerate(from_states)}
        allowed = f"#state IN ({', '.join(states)})" + (" OR attribute_not_exists(#state)" * ("active" in from_states))
        text = "SET " + ", ".join(f"#{name} = :{name}" for name in texts)
        text += f" REMOVE {', '.join(f'#{name}' for name in gone)}" if gone else ""
        with translated(self._store):
            try:
                found = self._client.update_item(
                    TableName=self._table,
                    Key=_key(tenant),
                    UpdateExpression=text,
                    ConditionExpression=f"attribute_exists(pk) AND ({allowed})",
                    ExpressionAttributeNames=names,
                    ExpressionAttributeValues={f":{name}": value for name, value in texts.items()} | states,
                    ReturnValues="ALL_NEW",
                )
            except ClientError as err:
                if _code(err) != _LOST:
                    raise
                found = None
        if found is not None:
            return _tenant(found["Attributes"])
        there = self.get(tenant)
        if there is None:
            raise TenantMissing(f"there is no tenant {tenant!r}: omni tenant list shows them")
        raise TenantChanged(f"tenant {tenant!r} is {there.state}; this needs one that is {' or '.join(from_states)}")


def build_tenants(settings: Settings, *, dynamodb: Any) -> TenantStore:
    """Return the tenants of the settings' table; contacts nothing."""
    return TenantStore(dynamodb, settings.stores.config_table, timeout_s=settings.stores.timeout_s)


def _key(tenant: str) -> dict[str, Any]:
    return {CONFIG.partition: {"S": f"{_PARTITION}{tenant}"}, CONFIG.sort: {"S": META}}


def _texts(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return the attributes of an item; what is empty has none."""
    return {
        _ATTRIBUTES.get(name, name): {"S": json.dumps(value) if name in _JSON else str(value)}
        for name, value in fields.items()
        if value not in (None, "", [], {})
    }


def _tenant(item: Mapping[str, Any]) -> Tenant:
    names = {kept: name for name, kept in _ATTRIBUTES.items()}
    fields = {
        names.get(name, name): json.loads(value["S"]) if name in _JSON else value["S"]
        for name, value in item.items()
        if name not in (CONFIG.partition, CONFIG.sort)
    }
    tenant = item[CONFIG.partition]["S"].removeprefix(_PARTITION)
    try:
        return Tenant.model_validate(fields | {"tenant": tenant})
    except ValidationError as err:
        raise StoreError(f"the item of tenant {tenant!r} is damaged: {err.error_count()} wrong fields") from err


def _code(err: ClientError) -> str:
    return str(err.response.get("Error", {}).get("Code", ""))
