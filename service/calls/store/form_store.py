"""Tenants and their forms in DynamoDB: a draft and immutable revisions per form, one of them active, each write conditional.

Partition ``TENANT#<id>``. Item ``META#v1`` is the tenant (``service.calls.tenants``). ``QA_TEMPLATE#<form>`` is a form's head:
its draft, its active version and its edit count, which every write must match. ``QA_REVISION#<form>#<version>`` is an activated
version, which never changes.
"""

import json
from collections.abc import Callable
from datetime import datetime
from typing import Any

from botocore.exceptions import ClientError
from pydantic import ValidationError

from service.calls.store.forms import FormChanged, FormHead, FormMissing
from service.core.tasks.scorecard.form import Form
from service.kit.aws.bounded import StoreThreads, translated
from service.kit.aws.stores import CONFIG
from service.kit.frame.errors import StoreError
from service.kit.settings import Settings

PARTITION_KEY, SORT_KEY = CONFIG.partition, CONFIG.sort
META, TEMPLATE, REVISION = "META#v1", "QA_TEMPLATE#", "QA_REVISION#"
_LOST_RACE = frozenset({"ConditionalCheckFailedException", "TransactionCanceledException"})


class FormStore:
    """Implements ``Forms`` with one table. ``now`` returns aware UTC."""

    def __init__(self, client: Any, table: str, *, timeout_s: float, now: Callable[[], datetime]) -> None:
        self._client = client
        self._table = table
        self._now = now
        self._threads = StoreThreads(f"table {table!r}", timeout_s=timeout_s)

    async def known(self, tenant: str) -> bool:
        """See ``Forms.known``."""
        item = await self._threads.run(self._get, tenant, META)
        return item is not None and item.get("state", {}).get("S") != "deleting"

    async def heads(self, tenant: str) -> list[FormHead]:
        """See ``Forms.heads``."""
        return await self._threads.run(self._heads, tenant)

    async def head(self, tenant: str, form_id: str) -> FormHead:
        """See ``Forms.head``."""
        return await self._threads.run(self._head, tenant, form_id)

    async def revision(self, tenant: str, form_id: str, version: int) -> Form:
        """See ``Forms.revision``."""
        item = await self._threads.run(self._get, tenant, revision_key(form_id, version))
        if item is None:
            raise FormMissing(f"form {form_id!r} has no version {version}")
        return _form(item, "form", tenant)

    async def save_draft(self, draft: Form, *, edit: int, who: str) -> FormHead:
        """See ``Forms.save_draft``."""
        return await self._threads.run(self._save_draft, draft, edit, who)

    async def activate(self, tenant: str, form_id: str, *, edit: int, who: str) -> FormHead:
        """See ``Forms.activate``."""
        return await self._threads.run(self._activate, tenant, form_id, edit, who)

    def _get(self, tenant: str, sort: str) -> dict[str, Any] | None:
        with translated(f"table {self._table!r}"):
            # A consistent read: an editor who has just saved must not get the old form.
            found = self._client.get_item(TableName=self._table, Key=_key(tenant, sort), ConsistentRead=True)
        item: dict[str, Any] | None = found.get("Item")
        return item

    def _head(self, tenant: str, form_id: str) -> FormHead:
        item = self._get(tenant, TEMPLATE + form_id)
        if item is None:
            return FormHead(form_id=form_id, edit=0, latest=0, active=None, draft=None)
        return _head_of(item, tenant)

    def _heads(self, tenant: str) -> list[FormHead]:
        found: list[FormHead] = []
        with translated(f"table {self._table!r}"):
            pages = self._client.get_paginator("query").paginate(
                TableName=self._table,
                KeyConditionExpression="pk = :tenant AND begins_with(sk, :forms)",
                ExpressionAttributeValues={":tenant": {"S": _partition(tenant)}, ":forms": {"S": TEMPLATE}},
                ConsistentRead=True,
            )
            for page in pages:
                found.extend(_head_of(item, tenant) for item in page["Items"])
        return found

    def _save_draft(self, draft: Form, edit: int, who: str) -> FormHead:
        head = self._head(draft.tenant, draft.form_id)
        if head.edit != edit:
            raise FormChanged(_changed(draft.form_id, edit, head.edit))
        draft = draft.model_copy(update={"version": head.latest + 1})
        fields = {"draft": {"S": draft.model_dump_json()}, "draft_by": {"S": who}, "draft_at": {"S": self._time()}}
        self._write([self._update_head(draft.tenant, draft.form_id, edit, fields)])
        return FormHead(form_id=head.form_id, edit=edit + 1, latest=head.latest, active=head.active, draft=draft)

    def _activate(self, tenant: str, form_id: str, edit: int, who: str) -> FormHead:
        head = self._head(tenant, form_id)
        if head.edit != edit:
            raise FormChanged(_changed(form_id, edit, head.edit))
        if head.draft is None:
            raise FormMissing(f"form {form_id!r} has no draft to activate")
        text, at = head.draft.model_dump_json(), self._time()
        signed = {"form": {"S": text}, "activated_by": {"S": who}, "activated_at": {"S": at}}
        version = head.draft.version
        revision = _key(tenant, revision_key(form_id, version)) | signed
        fields = {"active": {"S": text}, "active_by": {"S": who}, "active_at": {"S": at}, "latest": {"N": str(version)}}
        # In one transaction: an active version that was not stored could never be read again.
        self._write(
            [
                {"Put": {"Item": revision, "ConditionExpression": "attribute_not_exists(pk)"}},
                self._update_head(tenant, form_id, edit, fields, remove=("draft", "draft_by", "draft_at")),
            ]
        )
        return FormHead(form_id=form_id, edit=edit + 1, latest=version, active=head.draft, draft=None)

    def _update_head(
        self, tenant: str, form_id: str, edit: int, fields: dict[str, Any], remove: tuple[str, ...] = ()
    ) -> dict[str, Any]:
        names = {f"#{name}": name for name in (*fields, *remove)}
        sets = ", ".join(["edit = :next", *(f"#{name} = :{name}" for name in fields)])
        removes = f" REMOVE {', '.join(f'#{name}' for name in remove)}" if remove else ""
        values = {f":{name}": value for name, value in fields.items()} | {":next": {"N": str(edit + 1)}}
        condition = "attribute_not_exists(pk)"
        if edit:
            condition = "edit = :read"
            values[":read"] = {"N": str(edit)}
        return {
            "Update": {
                "Key": _key(tenant, TEMPLATE + form_id),
                "UpdateExpression": f"SET {sets}{removes}",
                "ConditionExpression": condition,
                "ExpressionAttributeNames": names,
                "ExpressionAttributeValues": values,
            }
        }

    def _write(self, changes: list[dict[str, Any]]) -> None:
        """Make all changes or none.

        Raises:
            FormChanged: a condition is not met.
        """
        placed = [{kind: {**change, "TableName": self._table}} for one in changes for kind, change in one.items()]
        with translated(f"table {self._table!r}"):
            try:
                self._client.transact_write_items(TransactItems=placed)
            except ClientError as err:
                if str(err.response.get("Error", {}).get("Code", "")) in _LOST_RACE:
                    raise FormChanged("the form was changed by another write; read it again") from err
                raise

    def _time(self) -> str:
        return self._now().isoformat(timespec="milliseconds")


def build_forms(settings: Settings, *, dynamodb: Any, now: Callable[[], datetime]) -> FormStore:
    """Return the forms of the settings' table; contacts nothing."""
    return FormStore(dynamodb, settings.stores.config_table, timeout_s=settings.stores.timeout_s, now=now)


def revision_key(form_id: str, version: int) -> str:
    """Return the sort key of a version; versions sort numerically."""
    return f"{REVISION}{form_id}#{version:07d}"


def _partition(tenant: str) -> str:
    return f"TENANT#{tenant}"


def _key(tenant: str, sort: str) -> dict[str, Any]:
    return {PARTITION_KEY: {"S": _partition(tenant)}, SORT_KEY: {"S": sort}}


def _head_of(item: dict[str, Any], tenant: str) -> FormHead:
    return FormHead(
        form_id=item[SORT_KEY]["S"].removeprefix(TEMPLATE),
        edit=int(item["edit"]["N"]),
        latest=int(item["latest"]["N"]) if "latest" in item else 0,
        active=_form(item, "active", tenant) if "active" in item else None,
        draft=_form(item, "draft", tenant) if "draft" in item else None,
    )


def _form(item: dict[str, Any], name: str, tenant: str) -> Form:
    try:
        form = Form.model_validate(json.loads(item[name]["S"]))
    except (KeyError, ValueError, ValidationError) as err:
        raise StoreError(f"item {item[SORT_KEY]['S']!r} holds no form in {name!r}") from err
    if form.tenant != tenant:
        raise StoreError(f"item {item[SORT_KEY]['S']!r} holds a form of another tenant")
    return form


def _changed(form_id: str, read: int, found: int) -> str:
    return f"form {form_id!r} was read at edit {read} and is at edit {found}; read it again and repeat your change"
