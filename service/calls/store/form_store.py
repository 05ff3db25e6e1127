"""Tenants and their forms in DynamoDB: a draft and immutable revisions per form, one of them active, each write conditional.

Partition ``TENANT#<id>``. Item ``META#v1`` is the tenant (``service.calls.tenants``). ``QA_TEMPLATE#<form>`` is a form's head:
its draft, its active version and its edit count, which every write must match. ``QA_REVISION#<form>#<version>`` is an activated
version, which never changes.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from service.core.tasks.scorecard.form import Form
from service.core.unit.tenant import Tenant
from service.kit.aws.bounded import ItemChanged, StoreThreads
from service.kit.aws.stores import CONFIG
from service.kit.frame.errors import StoreError
from service.kit.records.build import open_rows
from service.kit.records.conditions import Changes, absent, begins, equal
from service.kit.records.items import Item, Key
from service.kit.records.rows import Query, Rows, Write, key_attributes
from service.kit.settings import Settings


class FormChanged(Exception):
    """The form was changed since it was read; read it again."""


class FormMissing(Exception):
    """The tenant has no such form, version or draft."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FormHead:
    """A form's state. ``edit`` counts its writes; 0 means that it does not exist. ``latest`` is the newest version."""

    form_id: str
    edit: int
    latest: int
    active: Form | None
    draft: Form | None


PARTITION_KEY, SORT_KEY = CONFIG.partition, CONFIG.sort
DEFAULT_FORM = "default"
META, TEMPLATE, REVISION = "META#v1", "QA_TEMPLATE#", "QA_REVISION#"


class FormStore:
    """The forms of tenants; every method is about one tenant. ``now`` returns aware UTC."""

    def __init__(self, rows: Rows, *, timeout_s: float, now: Callable[[], datetime]) -> None:
        self._rows = rows
        self._now = now
        self._threads = StoreThreads(f"table {rows.name!r}", timeout_s=timeout_s)

    async def known(self, tenant: str) -> bool:
        """Return whether the tenant exists and is not being deleted."""
        item = await self._threads.run(self._rows.get, _key(tenant, META))
        return item is not None and item.get("state") != "deleting"

    async def heads(self, tenant: str) -> list[FormHead]:
        """Return the tenant's forms by id."""
        return await self._threads.run(self._heads, tenant)

    async def head(self, tenant: str, form_id: str) -> FormHead:
        """Return one form; its ``edit`` is 0 when it does not exist."""
        return await self._threads.run(self._head, tenant, form_id)

    async def revision(self, tenant: str, form_id: str, version: int) -> Form:
        """Return a version that is or was active; raises ``FormMissing`` if there is none."""
        item = await self._threads.run(self._rows.get, _key(tenant, revision_key(form_id, version)))
        if item is None:
            raise FormMissing(f"form {form_id!r} has no version {version}")
        return _form(item, "form", tenant)

    async def save_draft(self, draft: Form, *, edit: int, who: str) -> FormHead:
        """Replace the form's draft with ``draft``, as its next version; ``edit`` is the edit count that was read."""
        return await self._threads.run(self._save_draft, draft, edit, who)

    async def activate(self, tenant: str, form_id: str, *, edit: int, who: str) -> FormHead:
        """Turn the draft into an immutable version and make it the active one.

        Raises:
            FormChanged: the form was written since ``edit``.
            FormMissing: there is no draft.
        """
        return await self._threads.run(self._activate, tenant, form_id, edit, who)

    def _head(self, tenant: str, form_id: str) -> FormHead:
        item = self._rows.get(_key(tenant, TEMPLATE + form_id))
        if item is None:
            return FormHead(form_id=form_id, edit=0, latest=0, active=None, draft=None)
        return _head_of(item, tenant)

    def _heads(self, tenant: str) -> list[FormHead]:
        asked = Query(partition=Tenant(tenant).partition, sort=begins(SORT_KEY, TEMPLATE))
        return [_head_of(item, tenant) for item in self._rows.query(asked)]

    def _save_draft(self, draft: Form, edit: int, who: str) -> FormHead:
        head = self._head_at(draft.tenant, draft.form_id, edit)
        draft = draft.model_copy(update={"version": head.latest + 1})
        fields = {"draft": draft.model_dump_json(), "draft_by": who, "draft_at": self._time()}
        self._write(_update(draft.tenant, draft.form_id, edit, fields))
        return replace(head, edit=edit + 1, draft=draft)

    def _activate(self, tenant: str, form_id: str, edit: int, who: str) -> FormHead:
        head = self._head_at(tenant, form_id, edit)
        if head.draft is None:
            raise FormMissing(f"form {form_id!r} has no draft to activate")
        text, at, version = head.draft.model_dump_json(), self._time(), head.draft.version
        revision = key_attributes(CONFIG, _key(tenant, revision_key(form_id, version)))
        revision |= {"form": text, "activated_by": who, "activated_at": at}
        fields = {"active": text, "active_by": who, "active_at": at, "latest": version}
        # In one transaction: an active version that was not stored could never be read again.
        self._write(
            Write(item=revision, when=absent(PARTITION_KEY)),
            _update(tenant, form_id, edit, fields, removes=("draft", "draft_by", "draft_at")),
        )
        return replace(head, edit=edit + 1, latest=version, active=head.draft, draft=None)

    def _head_at(self, tenant: str, form_id: str, edit: int) -> FormHead:
        head = self._head(tenant, form_id)
        if head.edit != edit:
            raise FormChanged(
                f"form {form_id!r} was read at edit {edit} and is at edit {head.edit}; read it again and repeat your change"
            )
        return head

    def _write(self, *changes: Write) -> None:
        try:
            self._rows.together(changes)
        except ItemChanged as err:
            raise FormChanged("the form was changed by another write; read it again") from err

    def _time(self) -> str:
        return self._now().isoformat(timespec="milliseconds")


def build_forms(settings: Settings, *, dynamodb: Any, now: Callable[[], datetime]) -> FormStore:
    """Return the forms of the settings' table; contacts nothing."""
    return FormStore(open_rows(settings, CONFIG, dynamodb), timeout_s=settings.stores.timeout_s, now=now)


def revision_key(form_id: str, version: int) -> str:
    """Return the sort key of a version; versions sort numerically."""
    return f"{REVISION}{form_id}#{version:07d}"


def _key(tenant: str, sort: str) -> Key:
    return Tenant(tenant).partition, sort


def _update(tenant: str, form_id: str, edit: int, fields: Item, removes: tuple[str, ...] = ()) -> Write:
    return Write(
        key=_key(tenant, TEMPLATE + form_id),
        changes=Changes(sets={"edit": edit + 1, **fields}, removes=removes),
        when=equal("edit", edit) if edit else absent(PARTITION_KEY),
    )


def _head_of(item: Item, tenant: str) -> FormHead:
    return FormHead(
        form_id=item[SORT_KEY].removeprefix(TEMPLATE),
        edit=item["edit"],
        latest=item.get("latest", 0),
        active=_form(item, "active", tenant) if "active" in item else None,
        draft=_form(item, "draft", tenant) if "draft" in item else None,
    )


def _form(item: Item, name: str, tenant: str) -> Form:
    try:
        form = Form.model_validate(json.loads(item[name]))
    except (KeyError, ValueError, ValidationError) as err:
        raise StoreError(f"item {item[SORT_KEY]!r} holds no form in {name!r}") from err
    if form.tenant != tenant:
        raise StoreError(f"item {item[SORT_KEY]!r} holds a form of another tenant")
    return form


def default_form(tenant: str) -> Form:
    """Return the first version of the form that a new tenant begins with, for the tenant's own changes."""
    content = yaml.safe_load(Path(__file__).with_name("default_form.yaml").read_text(encoding="utf-8"))
    return Form.model_validate(content | {"tenant": tenant})
