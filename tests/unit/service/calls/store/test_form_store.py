"""The form store on a table in memory: drafts, versions, two editors at once, tenants apart."""

import asyncio
from datetime import UTC, datetime
from typing import Any

import pytest
from call_place import make_form

from service.calls.store.form_store import FormChanged, FormMissing, FormStore
from service.core.tasks.scorecard.form import Form
from service.kit.aws.stores import CONFIG
from service.kit.frame.errors import StoreError
from service.kit.records.memory import RowsInMemory

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)


@pytest.fixture
def rows():
    return RowsInMemory(CONFIG)


@pytest.fixture
def store(rows) -> FormStore:
    return FormStore(rows, timeout_s=10.0, now=lambda: NOW)


def form(form_id: str, tenant: str = "tenant-a", **changes: Any) -> Form:
    return make_form(tenant, form_id, **changes)


async def test_a_tenant_is_known_until_it_is_deleted(store, rows) -> None:
    assert not await store.known("acme")
    rows.put({"pk": "TENANT#acme", "sk": "META#v1"})
    assert await store.known("acme")
    rows.put({"pk": "TENANT#acme", "sk": "META#v1", "state": "deleting"})
    assert not await store.known("acme")


@pytest.mark.acceptance("form-01")
async def test_a_form_goes_from_draft_to_version_to_version(store, rows) -> None:
    assert (await store.head("tenant-a", "cycle")).edit == 0
    drafted = await store.save_draft(form("cycle"), edit=0, who="dana")
    assert (drafted.edit, drafted.active, drafted.draft) == (1, None, form("cycle"))
    active = await store.activate("tenant-a", "cycle", edit=1, who="dana")
    assert active == await store.head("tenant-a", "cycle")
    assert (active.edit, active.latest, active.active, active.draft) == (2, 1, form("cycle"), None)

    await store.save_draft(form("cycle", name="Draft one"), edit=2, who="dana")
    await store.save_draft(form("cycle", name="Support 2"), edit=3, who="eve")
    head = await store.activate("tenant-a", "cycle", edit=4, who="eve")
    item = rows.get(("TENANT#tenant-a", "QA_TEMPLATE#cycle"))
    assert (item["edit"], item["latest"], item["active_by"]) == (5, 2, "eve")
    assert not {"draft", "draft_by", "draft_at"} & item.keys()
    assert head.active == form("cycle", name="Support 2", version=2)
    assert await store.revision("tenant-a", "cycle", 1) == form("cycle")
    assert await store.revision("tenant-a", "cycle", 2) == head.active
    with pytest.raises(FormMissing, match="no version 3"):
        await store.revision("tenant-a", "cycle", 3)
    with pytest.raises(FormMissing, match="no draft to activate"):
        await store.activate("tenant-a", "cycle", edit=5, who="eve")


async def test_of_many_editors_at_once_one_wins_and_the_others_learn_it(store) -> None:
    async def save(number: int) -> bool:
        try:
            await store.save_draft(form("race", name=f"Editor {number}"), edit=0, who=f"e{number}")
        except FormChanged:
            return False
        return True

    won = await asyncio.gather(*(save(number) for number in range(8)))
    assert won.count(True) == 1
    head = await store.head("tenant-a", "race")
    assert head.draft is not None
    assert (head.edit, head.draft.name) == (1, f"Editor {won.index(True)}")


async def test_a_race_between_a_draft_and_an_activation_has_one_winner(store) -> None:
    for round_ in range(5):
        name = f"mixed-{round_}"
        await store.save_draft(form(name, name="First"), edit=0, who="a")
        done = await asyncio.gather(
            store.activate("tenant-a", name, edit=1, who="a"),
            store.save_draft(form(name, name="Second"), edit=1, who="b"),
            return_exceptions=True,
        )
        assert sum(isinstance(one, FormChanged) for one in done) == 1, done
        head = await store.head("tenant-a", name)
        if head.active is not None:
            assert await store.revision("tenant-a", name, 1) == head.active
        else:
            assert head.draft is not None
            assert head.draft.name == "Second"
            with pytest.raises(FormMissing):
                await store.revision("tenant-a", name, 1)


async def test_a_lost_race_that_the_first_read_does_not_see_writes_nothing(store, monkeypatch) -> None:
    await store.save_draft(form("late"), edit=0, who="a")
    seen = store._head("tenant-a", "late")
    await store.save_draft(form("late", name="Other"), edit=1, who="b")
    monkeypatch.setattr(store, "_head", lambda *_: seen)
    for write in (
        store.save_draft(form("late", name="Mine"), edit=1, who="a"),
        store.activate("tenant-a", "late", edit=1, who="a"),
    ):
        with pytest.raises(FormChanged, match="changed by another write"):
            await write
    monkeypatch.undo()
    head = await store.head("tenant-a", "late")
    assert (head.edit, head.draft.name, head.active) == (2, "Other", None)


@pytest.mark.acceptance("form-02")
async def test_tenants_are_apart_and_lists_hold_no_versions(store) -> None:
    await store.save_draft(form("own", "tenant-x"), edit=0, who="x")
    await store.activate("tenant-x", "own", edit=1, who="x")
    await store.save_draft(form("own", "tenant-y"), edit=0, who="y")
    assert [head.form_id for head in await store.heads("tenant-x")] == ["own"]
    assert (await store.head("tenant-x", "own")).edit == 2
    assert (await store.head("tenant-y", "own")).active is None
    with pytest.raises(FormMissing):
        await store.revision("tenant-y", "own", 1)


async def test_a_damaged_or_misplaced_item_is_an_error_that_quotes_nothing(store, rows) -> None:
    for text in ("{}", form("bad", "tenant-z").model_dump_json()):
        rows.put({"pk": "TENANT#tenant-a", "sk": "QA_TEMPLATE#bad", "edit": 1, "draft": text})
        with pytest.raises(StoreError, match=r"'QA_TEMPLATE#bad' holds") as caught:
            await store.head("tenant-a", "bad")
        assert "greet" not in str(caught.value)
