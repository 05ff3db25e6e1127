"""Tenants, their forms, overrides and orders as items; on the twin of the tables in memory."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from service.calls.store.overrides import CallOverrides, Override, OverrideTaken
from service.calls.store.rescorings import OrderMissing, RescoringOrder, RescoringOrders
from service.calls.tenants.store import ConfiguredTenant, TenantChanged, TenantMissing, TenantSettings, TenantStore
from service.kit.aws.stores import CALLS, CONFIG
from service.kit.records.memory import RowsInMemory

AT = datetime(2026, 11, 23, 10, 0, tzinfo=UTC)


def override(edit, criterion="greet", verdict="yes"):
    return Override(
        tenant="acme", call_id="call-1", criterion=criterion, edit=edit, form_id="support", form_version=3,
        model_verdict="no", verdict=verdict, reason="heard it", who="lead", at=AT, pair_digest="d" * 8,
    )  # fmt: skip


def order(rescoring_id="r1", **changes):
    fields = {
        "tenant": "acme", "rescoring_id": rescoring_id, "form_id": "support", "form_version": 3, "from_day": None,
        "to_day": None, "most_calls": 5, "most_usd": Decimal(1), "ordered_by": "lead", "ordered_at": AT, "updated_at": AT,
        "total": 5, "usd_per_call": None,
    }  # fmt: skip
    return RescoringOrder(**fields | changes)


def test_an_override_is_written_once_and_listed_until_it_is_loaded():
    rows = RowsInMemory(CALLS, page_items=2)
    overrides = CallOverrides(rows)
    for edit in (1, 2, 10):
        overrides.put(override(edit))
    overrides.put(override(1, "close"))
    with pytest.raises(OverrideTaken, match="override 2 of this criterion"):
        overrides.put(override(2, verdict="no"))
    assert rows.get(("TENANT#acme", "OVERRIDE#call-1#greet#000000002")) == {
        "pk": "TENANT#acme", "sk": "OVERRIDE#call-1#greet#000000002", "open": "#overrides", "form_id": "support",
        "form_version": "3", "model_verdict": "no", "verdict": "yes", "reason": "heard it", "who": "lead",
        "updated_at": "2026-11-23T10:00:00.000+00:00", "pair_digest": "dddddddd",
    }  # fmt: skip
    assert [(one.criterion, one.edit) for one in overrides.of("acme", "call-1")] == [
        ("close", 1), ("greet", 1), ("greet", 2), ("greet", 10),
    ]  # fmt: skip
    overrides.loaded(override(2))
    assert [(one.criterion, one.edit) for one in overrides.unloaded()] == [("close", 1), ("greet", 1), ("greet", 10)]
    assert override(2) in overrides.of("acme", "call-1")


def test_an_order_changes_by_its_edit_and_an_ended_one_is_not_open():
    rows = RowsInMemory(CALLS)
    orders = RescoringOrders(rows)
    made = order()
    assert orders.add(made) is made
    assert orders.add(order(most_calls=9)).most_calls == 5
    orders.add(order("r2", tenant="other"))
    assert rows.get(("TENANT#acme", "RESCORING#r1")) == {
        "pk": "TENANT#acme", "sk": "RESCORING#r1", "edit": 1, "content": made.model_dump_json(), "open": "#rescorings",
        "updated_at": "~",
    }  # fmt: skip
    assert '"version"' not in made.model_dump_json()
    assert orders.open_tenants() == ["acme", "other"]
    seen = []

    def settle(found):
        seen.append(found.done)
        if len(seen) == 1:  # another worker is faster
            orders.change("acme", "r1", lambda one: one.model_copy(update={"done": 3}))
        return found.model_copy(update={"done": found.done + 2, "state": "done"})

    assert orders.change("acme", "r1", settle).done == 5
    assert seen == [0, 3]
    assert orders.open_tenants() == ["other"]
    assert rows.get(("TENANT#acme", "RESCORING#r1")).keys() == {"pk", "sk", "edit", "content"}
    with pytest.raises(OrderMissing):
        orders.change("acme", "r9", lambda one: one)
    with pytest.raises(OrderMissing):
        orders.get("other", "r1")


def test_a_tenant_is_added_configured_and_moved_between_its_states():
    rows = RowsInMemory(CONFIG)
    tenants = TenantStore(rows, timeout_s=5)
    assert tenants.add(
        ConfiguredTenant(tenant="acme", name="Acme", model="nova-lite", regions=("eu",), tags={"team": "a"})
    )
    assert not tenants.add(ConfiguredTenant(tenant="acme", name="Other"))
    assert rows.get(("TENANT#acme", "META#v1")) == {
        "pk": "TENANT#acme", "sk": "META#v1", "name": "Acme", "bedrockModel": "nova-lite", "regions": '["eu"]',
        "tags": '{"team": "a"}', "state": "active",
    }  # fmt: skip
    kept = tenants.configure("acme", TenantSettings(name="Acme Ltd"))
    assert (kept.name, kept.model, kept.regions, kept.tags) == ("Acme Ltd", None, (), {})
    moved = tenants.move("acme", "deleting", from_states=("active", "suspended"), by="dana", why="asked", now=AT)
    assert (moved.state, moved.state_by, moved.state_at) == ("deleting", "dana", AT)
    with pytest.raises(TenantChanged, match="is deleting"):
        tenants.configure("acme", TenantSettings(name="Back"))
    with pytest.raises(TenantMissing):
        tenants.configure("nobody", TenantSettings(name="Nobody"))
    rows.put({"pk": "TENANT#old", "sk": "META#v1", "name": "From before states"})
    assert tenants.configure("old", TenantSettings(name="Old")).state == "active"
    assert [one.tenant for one in tenants.all()] == ["acme", "old"]
