"""Tenants in a local DynamoDB, and what their configuration allows a worker: state, region, model, language."""

import json
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from call_place import ACME, BRAND, make_place, omni_calls

from service.calls.failure import CallFailed, FailureReason
from service.calls.hear.transcriber import Heard
from service.calls.store.form_store import default_form
from service.calls.tenants.desk import TenantDesk
from service.calls.tenants.store import ConfiguredTenant, TenantChanged, TenantMissing, TenantSettings
from service.calls.worker.replay import replay
from service.core.tasks.scorecard.transcript import Turn

pytest.importorskip("ministack", reason="the local AWS is a development dependency: make setup")

NOW = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)
NOVA = "amazon.nova-lite-v1:0"


@pytest.fixture
async def place(local_aws, tmp_path):
    return await make_place(local_aws(store_timeout_s=20.0, redactor="patterns"), tmp_path, "tenants")


@pytest.fixture
def store(place):
    return place.worker.tenants.tenants


def configured(store, tenant, **settings):
    known = store.get(tenant)
    kept = {name: getattr(known, name) for name in TenantSettings.model_fields}
    return store.configure(tenant, TenantSettings.model_validate(kept | settings))


def fresh(place, **changes):
    """The worker with a desk that has read no tenant yet."""
    desk = place.worker.tenants
    fields = {"tenants": desk.tenants, "residency": desk.residency, "released": desk.released}
    return replace(place.worker, tenants=TenantDesk(**fields | changes))


async def drained(place, worker):
    place.worker = worker
    return await worker.drain()


@pytest.mark.acceptance("call-step-06")
def test_settings_are_kept_until_they_are_removed(store):
    assert store.add(ConfiguredTenant(tenant="words", name="Words", created_at=NOW, created_by="ops"))
    assert not store.add(ConfiguredTenant(tenant="words", name="Again"))
    assert store.vocabulary("words") is store.vocabulary("nobody") is None
    full = {
        "vocabulary": "words-products", "model": NOVA, "regions": ["eu", "us-east-1"], "language": "es-US",
        "monthly_budget_usd": "120.50", "tags": {"cost-center": "4711"},
        "own_words": ["Words & Co", "Amoxicillin"], "agents": ["Lorcan"],
    }  # fmt: skip
    made = configured(store, "words", **full)
    assert made == store.get("words")
    assert made.model_dump(mode="json", include=set(full)) == full
    assert (made.created_at, made.created_by, made.state) == (NOW, "ops", "active")
    assert store.vocabulary("words") == "words-products"
    bare = store.configure("words", TenantSettings(name="Words"))
    assert (bare.vocabulary, bare.model, bare.regions, bare.tags, bare.monthly_budget_usd) == (None, None, (), {}, None)
    assert [one.tenant for one in store.all()] >= [ACME, BRAND]
    with pytest.raises(TenantMissing, match="there is no tenant 'nobody'"):
        store.configure("nobody", TenantSettings(name="Nobody"))
    assert store.get("nobody") is None


def test_a_state_follows_another_one_only_as_it_may(store):
    moved = store.move(ACME, "suspended", from_states=("active",), by="ops", why="unpaid", now=NOW)
    assert (moved.state, moved.state_at, moved.state_by, moved.state_why) == ("suspended", NOW, "ops", "unpaid")
    with pytest.raises(TenantChanged, match="'acme' is suspended; this needs one that is active"):
        store.move(ACME, "suspended", from_states=("active",), by="ops", why="", now=NOW)
    store.move(ACME, "deleting", from_states=("suspended",), by="ops", why="gone", now=NOW)
    with pytest.raises(TenantChanged, match="is deleting"):
        store.configure(ACME, TenantSettings(name="Acme"))


@pytest.mark.acceptance("tenant-06")
async def test_a_suspended_tenants_calls_wait_for_its_return(place, store):
    store.move(ACME, "suspended", from_states=("active",), by="ops", why="unpaid", now=NOW)
    place.put("acme/calls/one.json")
    place.put("brand/calls/one.json")
    tally = await drained(place, fresh(place))
    assert (dict(tally.reasons), tally.states["needs_review"] + tally.states["done"]) == ({"suspended": 1}, 1)
    job = place.jobs(ACME)["one.json"]
    assert (job.state, job.reason, job.result_key) == ("failed", FailureReason.SUSPENDED, None)
    assert "omni tenant resume acme, then replay" in job.detail
    assert list(place.worker.results(ACME).listed("acme/transcripts/")) == []
    store.move(ACME, "active", from_states=("suspended",), by="ops", why="paid", now=NOW)
    place.worker = fresh(place)
    assert sum((await replay(place.worker, ACME)).states.values()) == 1
    assert place.jobs(ACME)["one.json"].scored is not None


async def test_a_tenant_that_is_being_deleted_gets_no_call(place, store):
    store.move(ACME, "suspended", from_states=("active",), by="ops", why="", now=NOW)
    store.move(ACME, "deleting", from_states=("suspended",), by="ops", why="", now=NOW)
    place.put("acme/calls/one.json")
    assert dict((await drained(place, fresh(place))).reasons) == {"unknown_tenant": 1}
    assert place.jobs(ACME) == {}


@pytest.mark.acceptance("call-08")
async def test_calls_are_worked_on_in_the_tenants_regions_alone(place, store):
    configured(store, ACME, regions=["eu-central-1"])
    configured(store, BRAND, regions=["eu-central-1", "us-east-1"])
    place.put("acme/calls/one.json")
    place.put("brand/calls/one.json")
    tally = await drained(place, fresh(place))
    assert dict(tally.reasons) == {"region": 1}
    assert "keeps data in us-east-1, and tenant 'acme' allows eu-central-1" in place.jobs(ACME)["one.json"].detail
    assert place.jobs(BRAND)["one.json"].scored is not None


@pytest.mark.acceptance("call-08")
async def test_a_model_in_another_region_is_never_asked(place, store):
    """The pair in production calls a model through a profile of the US; nothing of the call may reach it."""
    served = place.worker.scorer.served(ACME)
    abroad = replace(served, pair=replace(served.pair, model="us.meta.llama3-2-3b-instruct-v1:0"))
    desk = fresh(place).tenants
    scorer = replace(place.worker.scorer, served=lambda tenant: desk.served(tenant, abroad), gateway=None)
    configured(store, ACME, regions=["us-east-1"])
    place.put("acme/calls/one.json")
    assert dict((await drained(place, replace(fresh(place), scorer=scorer))).reasons) == {"region": 1}
    assert "llama3-2-3b-instruct-v1:0 is called in us, and" in place.jobs(ACME)["one.json"].detail


@pytest.mark.acceptance("form-04")
def test_a_tenants_own_model_is_honoured_among_released_pairs_or_refused(place, store):
    production = place.worker.scorer.served(ACME)
    own = replace(production, pair=replace(production.pair, name="own", model=NOVA), sequence=1)
    older = replace(own, pair=replace(own.pair, name="older"), sequence=0)
    desk = fresh(place, released=lambda: [own, older]).tenants
    configured(store, ACME, model=NOVA)
    assert desk.served(ACME, production) is own
    assert desk.served(BRAND, production) is production
    assert (desk.is_free(ACME), desk.is_free(BRAND)) == (False, True)
    with pytest.raises(
        CallFailed, match=rf"scored by {NOVA}, and no released pair asks it; released pairs ask local\..*"
    ):
        fresh(place, released=lambda: [production]).tenants.served(ACME, production)
    configured(store, BRAND, model=production.pair.model)
    assert fresh(place, released=list).tenants.served(BRAND, production) is production


async def test_recordings_are_heard_in_the_tenants_language(place, store):
    heard = []

    class Hearing:
        language = "en-US"

        def hear(self, source, body, facts):
            heard.append((source.tenant, facts.language))
            return Heard(turns=(Turn(speaker="agent", start_s=0, text="Good morning."),), by="test", facts=facts)

    configured(store, BRAND, language="de-DE")
    configured(store, ACME, language="en-GB")
    wav = b"RIFF$\x00\x00\x00WAVEfmt "
    place.put_bytes("acme/calls/a.wav", wav)
    place.put_bytes("acme/calls/b.wav", wav + b"b", language="en-AU")
    place.put_bytes("brand/calls/c.wav", wav)
    tally = await drained(place, replace(fresh(place), transcriber=Hearing()))
    assert sorted(heard) == [(ACME, "en-AU"), (ACME, "en-GB")]
    assert dict(tally.reasons) == {"language": 1}
    assert "the call is in German" in place.jobs(BRAND)["c.wav"].detail


@pytest.mark.acceptance("event.CALL_SCORED", "tenant-08")
def test_the_worker_itself_exports_figures_by_tenant(place):
    """The command that scores, in a process of its own: what it prints reaches CloudWatch as metrics, one dimension a tenant."""
    place.put("acme/calls/one.json")
    place.put("brand/calls/one.json")
    place.put_bytes("brand/calls/bad.json", b"{cut")
    done = omni_calls(place.settings, "work", OMNI_EMF="true")
    assert done.returncode == 0, done.stderr
    assert done.stdout.count('"CALL_SCORED"') == 2
    found = {}
    for line in done.stdout.splitlines():
        said = json.loads(line) if line.startswith("{") else {}
        for described in said.get("_aws", {}).get("CloudWatchMetrics", []):
            for metric in described["Metrics"]:
                found.setdefault((metric["Name"], said.get("tenant")), []).append(said)
    assert {tenant for name, tenant in found if name == "Calls"} == {ACME, BRAND}
    assert {line["state"] for line in found["Calls", BRAND]} >= {"failed"}
    assert {tenant for name, tenant in found if name == "CallSeconds"} == {ACME, BRAND}
    assert {tenant for name, tenant in found if name == "CallCost"} == {ACME, BRAND}


@pytest.mark.acceptance("form-03")
def test_a_new_tenant_begins_with_the_required_form():
    form = default_form("fresh")
    assert [(one.id, str(one.weight), one.required) for one in form.criteria()] == [
        ("greet_01", "1", True), ("empathy_02", "1", True), ("resolve_03", "1", True), ("confirm_04", "0.5", False),
        ("compliance_05", "1", True),
    ]  # fmt: skip
    assert (str(form.pass_threshold), form.tenant, form.version) == ("0.7", "fresh", 1)
