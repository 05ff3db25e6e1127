"""Every operation of the service, with every other tenant's token, names and ids: nothing is read, revealed or changed.

The operations come from the OpenAPI document, so that a new one is attacked, too; a parameter that nobody thought of fails here.
"""

import asyncio
import copy
import io
import json
import zipfile
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial

import anyio.to_thread
import httpx
import pytest
from access_place import keep_clients
from builders import changed
from call_place import ACME, BRAND
from tenant_place import CHAIN, ORDERED, TENANTS, WAITING, WORDS, make_tenants, scored_call, stored

from service.access.clients import SCOPES, new_secret
from service.access.control import open_access
from service.answers_kept.store import Summaries
from service.app import create_app
from service.calls.reviews import CallMissing
from service.calls.store.objects import WallBreached
from service.calls.tenants.store import TenantSettings
from service.core.run.task import load_task
from service.core.unit.cards import ModelCards
from service.core.unit.pair_file import load_pair
from service.dashboards.reader import DashboardReader, records
from service.desk.build import open_handovers
from service.kit.settings import REPO_ROOT
from service.privacy.tenants.build import build_life_cycle
from service.runtime import build_runtime
from service.warehouse import open_warehouse

pytest.importorskip("ministack", reason="the local AWS is a development dependency: make setup")

ABSENT = {
    "tenant": "nobody",
    "form_id": "nobody-qa",
    "call_id": "call-000000000000000000000000",
    "criterion": "nobody-criterion",
    "request_id": "req-nobody",
    "handover_id": f"handover-{0:024x}",
    "rescoring_id": f"rescoring-{0:024x}",
}
# Parameters that name no tenant's data, with a value that finds some.
HARMLESS = {
    "kind": "passed",
    "name": "effectiveness", "version": 1, "state": "done", "day": "2026-11-16", "limit": 50,
    "from": "2026-11-01", "to": "2026-11-30", "pair": "keywords", "task": "summarize",
    "agent_group": "cards", "agent": "a1", "Idempotency-Key": "k",
}  # fmt: skip
SECRET = new_secret()
OPERATOR = "an operator, who is no tenant"
VARIANTS = ("as documented", "tenant in the query", "tenant in a header")
# `kept` says whether the disk took the answer within the time that was left.
DIFFERENT_EACH_TIME = (
    "request_id",
    "token",
    "path",
    "age_s",
    "latency_ms",
    "generated_at",
    "prompt_cache_read_tokens",
    "kept",
)


@pytest.fixture
async def place(local_aws, tmp_path):
    return await make_tenants(local_aws(store_timeout_s=20.0, redactor="patterns"), tmp_path, "walls")


@pytest.fixture
async def tenants(place, api_runtime):
    """Send a request as a client of a tenant (None: of no tenant) to the whole service; also its OpenAPI document."""
    settings = place.settings
    runtime = api_runtime(settings=settings)
    cards = ModelCards.load(REPO_ROOT / "prompts" / "models.yaml")
    task = load_task("scorecard")
    file = REPO_ROOT / "prompts" / "scorecard" / "keywords.prompty"
    source = copy.copy(runtime.answering.pair_sources["summarize"])
    source.served = replace(source.served, pair=load_pair(file, cards=cards, task_variables=task.variables))
    built = build_runtime(settings, guarded=False)
    tokens = {}
    for tenant in (*TENANTS, None):
        # Every scope, those besides that no client of a tenant may be given; who creates and deletes tenants sees all of them.
        scopes = [scope for scope in (*SCOPES, "task:*") if tenant is not None or scope != "tenants"]
        keep_clients(settings, SECRET, **{f"lead-of-{tenant}": {"scopes": scopes, "tenant": tenant}})
        tokens[tenant] = open_access(settings).tokens.issue(f"lead-of-{tenant}", SECRET, None).text
    keep_clients(settings, SECRET, ops=["tenants"])
    tokens[OPERATOR] = open_access(settings).tokens.issue("ops", SECRET, None).text
    app = create_app(
        runtime=changed(
            runtime,
            tasks=runtime.answering.tasks | {"scorecard": task},
            pair_sources=runtime.answering.pair_sources | {"scorecard": source},
            gateway=built.answering.gateway,
            summaries=Summaries(feedback=built.summaries.feedback, answer_feedback=built.summaries.answer_feedback),
            forms=built.calls.forms,
            calls=built.calls.reviews,
            rescorings=built.calls.rescorings,
            tenants=replace(built.calls.tenants, released=list),  # nothing else is released
            access=open_access(settings),
            handovers=open_handovers(settings, lambda: datetime.now(UTC)),
            dashboards=DashboardReader(lambda: open_warehouse(settings, read_only=True)),
        )
    )
    async with app.router.lifespan_context(app):
        transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://a") as http:

            async def send(tenant, method, path, **more):
                headers = {"authorization": f"Bearer {tokens[tenant]}"} | more.pop("headers", {})
                while True:
                    answer = await http.request(method, path, headers=headers, **more)
                    if answer.status_code != 429:
                        return answer
                    await asyncio.sleep(float(answer.headers["retry-after"]))

            yield send, app.openapi()


def names_of(place, tenant, edit):
    """Return what an attacker may know of a tenant's data: its name, and the ids and the edit of its objects."""
    call = scored_call(place, tenant)
    form = {"form_id": f"{tenant}-qa", "criterion": f"{tenant}-greet", "edit": edit}
    ids = {
        "call_id": call,
        "request_id": f"req-{tenant}",
        "handover_id": WAITING[tenant],
        "rescoring_id": ORDERED[tenant],
    }
    return {"tenant": tenant, **ids, **form}


def requests_of(document, names, cursor):
    """Yield a label and the request of every operation, once per variant, with ``names`` wherever it takes a name."""
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            query, target = {}, path
            for parameter in operation.get("parameters", []):
                key = parameter["name"]
                value = ({"after": cursor, "form_id": names["form_id"]} | HARMLESS | names)[key]
                if parameter["in"] == "path":
                    target = target.replace(f"{{{key}}}", str(value))
                elif key in ("form_id", "criterion", "after", "from", "to"):  # the others narrow down what is found
                    query[key] = value
            for variant in VARIANTS:
                headers = {"x-tenant": names["tenant"], "tenant-id": names["tenant"]} if "header" in variant else {}
                more = {"tenant": names["tenant"], "tenant_id": names["tenant"]} if "query" in variant else {}
                sent = {"params": query | more, "headers": headers, **body_of(document, operation, names)}
                yield f"{method.upper()} {path}, {variant}", (method.upper(), target), sent


def body_of(document, operation, names):
    content = operation.get("requestBody", {}).get("content", {})
    if "application/json" not in content:
        example = next((kind["schema"]["example"] for kind in content.values()), None)
        return {} if example is None else {"data": example}
    schema = content["application/json"]["schema"]
    example = document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]["examples"][0]
    return {"json": named(example, names)}


def named(value, names):
    if isinstance(value, dict):
        return {key: names.get(key, named(item, names)) for key, item in value.items()}
    return [named(item, names) for item in value] if isinstance(value, list) else value


def without_names(answer, names):
    """Return an answer's status and text, without what the attacker sent and what differs each time."""
    text = answer.text
    for name in sorted((name for name in names.values() if isinstance(name, str)), key=len, reverse=True):
        text = text.replace(name, "NAME")
    body = json.loads(text) if answer.headers.get("content-type", "").endswith("json") else text
    if isinstance(body, dict):
        for key in DIFFERENT_EACH_TIME:
            body.pop(key, None)
    return answer.status_code, body


async def cursor_at(send, tenant):
    page = (await send(tenant, "GET", "/v1/calls", params={"limit": 1})).json()
    return page["next"]


async def walls_hold(place, send, document):
    """Attack each tenant as every other one and as a client of none; return how many pairs and requests were tried."""
    before, attacks, requests = stored(place), 0, 0
    for owner in (ACME, BRAND):
        assert WORDS[owner] in str(before[owner])
    for attacker in (*TENANTS, None):
        for victim in (tenant for tenant in (ACME, BRAND) if tenant != attacker):
            attacks += 1
            requests += await attack(place, send, document, attacker, victim)
        after = stored(place)
        changed = {owner for owner in before.keys() | after.keys() if before.get(owner) != after.get(owner)}
        assert changed <= {attacker}, f"a client of {attacker} changed what belongs to {changed}"
        before = after
    return attacks, requests


@pytest.mark.acceptance("tenant-01")
async def test_another_tenant_s_names_find_and_change_nothing(place, tenants, capsys):
    send, document = tenants
    attacks, requests = await walls_hold(place, send, document)
    count = sum(len(operations) for operations in document["paths"].values())
    assert (attacks, requests) == (6, count * attacks * len(VARIANTS))
    with capsys.disabled():
        print(
            f"\nwalls: {count} operations x {attacks} pairs of tenants x {len(VARIANTS)} ways: {requests} requests, 0 leaks"
        )


def named_in_query(request):
    return request.query_params.get("tenant", request.state.caller.tenant)


def of_everyone(warehouse, tenant, sql, parameters, *, order=""):
    return records(warehouse, sql, parameters)


def named_in_header(request):
    return request.headers.get("x-tenant", request.state.caller.tenant)


@pytest.mark.parametrize(
    ("place_of_check", "broken"),
    [
        ("service.api.calls.tenant_of", named_in_query),
        ("service.api.qa.operations.tenant_of", named_in_query),
        ("service.api.rescorings.operations.tenant_of", named_in_query),
        ("service.dashboards.calls.of_tenant", of_everyone),
        ("service.api.forms.tenant_of", named_in_query),
        ("service.api.forms.tenant_of", named_in_header),
        ("service.api.answer_path.require_tenant", lambda request, tenant: None),
        ("service.api.task_feedback._is_theirs", lambda answer, caller: True),
    ],
)
@pytest.mark.acceptance("tenant-01", "tenant-04")
async def test_a_broken_wall_is_noticed(place, tenants, monkeypatch, place_of_check, broken):
    monkeypatch.setattr(place_of_check, broken)
    with pytest.raises(AssertionError):
        await walls_hold(place, *tenants)


async def attack(place, send, document, attacker, victim):
    head = await place.worker.forms.head(victim, f"{victim}-qa")
    names, cursor = names_of(place, victim, head.edit), await cursor_at(send, victim)
    absent = ABSENT | {"edit": head.edit, "tenant": f"nobody-but-{victim}", "form_id": f"nobody-{victim}-qa"}
    foreign = [WORDS[tenant] for tenant in TENANTS if tenant != attacker]
    tried, count = set(), 0
    pairs = zip(requests_of(document, names, cursor), requests_of(document, absent, cursor), strict=True)
    for (label, target, sent), (_, other_target, other_sent) in pairs:
        answer, other = await send(attacker, *target, **sent), await send(attacker, *other_target, **other_sent)
        told = f"{label}, by {attacker} about {victim}: {answer.status_code} {answer.text[:500]}"
        assert answer.status_code < 500, told
        assert not [word for word in foreign if word in f"{answer.text} {answer.headers}"], told
        # Whether another tenant has such an object makes no difference that the attacker could see.
        # Its inputs name a tenant and hold the form: it reads nothing that another tenant has, and is refused all the same.
        assert target[1] != "/v1/scorecard" or answer.status_code == 403, told
        if target[1] != "/metrics":  # whose figures are of the moment
            assert without_names(answer, names) == without_names(other, absent), f"{told}\n{other.text[:500]}"
        tried.add(label.partition(",")[0])
        count += 1
    assert len(tried) == sum(len(operations) for operations in document["paths"].values())
    return count


@pytest.mark.acceptance("tenant-01")
def test_no_store_of_one_tenant_opens_anothers_names(place):
    """Below the API: every key of an object, every call and form of a tenant, with the stores as another tenant's."""
    worker, tried = place.worker, 0
    calls = [job.call_id for job in worker.jobs.of(ACME)]
    keys = [one.key for one in worker.results(ACME).listed(f"{ACME}/")]
    assert len(keys) >= 3
    for attacker in (BRAND, CHAIN):
        results = worker.results(attacker)
        for key in keys:
            told = f"{key}, by {attacker}"
            for name in (key, f"{attacker}/../{key}", f"{attacker}//{key}", f"./{key}"):
                with pytest.raises(WallBreached):
                    results.read(name)
                with pytest.raises(WallBreached):
                    results.delete(name)
                with pytest.raises(WallBreached):
                    results.put(name, "x")
                with pytest.raises(WallBreached):
                    list(results.listed(name))
                tried += 4
            assert results.read(f"{attacker}/{key}") is None, told
        for call_id in calls:
            assert worker.jobs.get(attacker, call_id) is None
            assert worker.reviews.overrides.of(attacker, call_id) == []
            with pytest.raises(CallMissing):
                worker.reviews.read(attacker, call_id)
            tried += 3
        found = build_life_cycle(place.settings, read_only=True).found(attacker)
        assert not [one for records in found.values() for one in records if WORDS[ACME] in str(one)]
        assert [records for records in found.values() if records]
    assert tried > 50


@pytest.mark.acceptance("code.TENANT_NOT_FOUND", "code.TENANT_REFUSED", "tenant-05")
async def test_an_operator_takes_a_tenant_through_its_life(place, tenants):
    send, _ = tenants

    ask = partial(send, OPERATOR)
    settings = {"name": "Fresh", "regions": ["us-east-1"], "monthly_budget_usd": "99", "tags": {"cost-center": "4711"}}
    made = (await ask("PUT", "/v1/tenants/fresh", json=settings)).json()
    assert (made["state"], made["created_by"], made["regions"], made["language"]) == (
        "active",
        "ops",
        ["us-east-1"],
        None,
    )
    assert [head.form_id for head in await place.worker.forms.heads("fresh")] == ["default"]
    changed = (await ask("PUT", "/v1/tenants/fresh", json=settings | {"language": "en-GB"})).json()
    assert (changed["language"], changed["created_at"]) == ("en-GB", made["created_at"])
    assert (await ask("GET", "/v1/tenants/fresh")).json() == changed
    assert changed in (await ask("GET", "/v1/tenants")).json()["tenants"]
    for name, wrong in (("far", {"regions": ["eu"]}), ("tmp", {})):
        refused = await ask("PUT", f"/v1/tenants/{name}", json=settings | wrong)
        assert (refused.status_code, refused.json()["code"]) == (409, "TENANT_REFUSED")
        assert (await ask("GET", f"/v1/tenants/{name}")).json()["code"] == "TENANT_NOT_FOUND"

    reason = {"json": {"why": "contract ended"}}
    assert (await ask("POST", f"/v1/tenants/{ACME}/deletion", **reason)).status_code == 409
    assert (await ask("GET", f"/v1/tenants/{ACME}/deletion")).json() == {
        "tenant": ACME,
        "state": "none",
        "receipts": [],
    }
    assert (await ask("POST", f"/v1/tenants/{ACME}/suspend", **reason)).json()["state_by"] == "ops"
    assert (await ask("POST", f"/v1/tenants/{ACME}/resume", **reason)).json()["state"] == "active"
    assert (await ask("POST", f"/v1/tenants/{ACME}/suspend", **reason)).json()["state"] == "suspended"
    given = await ask("GET", f"/v1/tenants/{ACME}/export")
    assert given.headers["content-type"] == "application/zip"
    with zipfile.ZipFile(io.BytesIO(given.content)) as archive:
        words = " ".join(archive.read(name).decode() for name in archive.namelist())
    assert WORDS[ACME] in words
    assert WORDS[BRAND] not in words
    ordered = await ask("POST", f"/v1/tenants/{ACME}/deletion", **reason)
    assert (ordered.status_code, ordered.json()["state"]) == (202, "ordered")
    assert (await ask("POST", f"/v1/tenants/{ACME}/resume", **reason)).status_code == 409
    cycle = replace(build_life_cycle(place.settings), sleep=lambda seconds: None)
    receipt = await anyio.to_thread.run_sync(lambda: cycle.delete(ACME, by="ops", why="contract ended"))
    proof = (await ask("GET", f"/v1/tenants/{ACME}/deletion")).json()
    assert (proof["state"], proof["receipts"][0]["left"], len(proof["receipts"])) == ("done", {}, 1)
    assert proof["receipts"][0]["deleted"] == receipt.deleted
    assert (await ask("GET", f"/v1/tenants/{ACME}")).status_code == 404


@pytest.mark.acceptance("form-04")
async def test_the_api_asks_no_model_that_the_tenant_does_not_allow(place, tenants):
    send, document = tenants
    example = document["components"]["schemas"]["ScorecardInputs"]["examples"][0]
    form = example["form"] | {"tenant": CHAIN}
    sent = {"json": example | {"tenant": CHAIN, "form": form}}
    assert (await send(CHAIN, "POST", "/v1/scorecard", **sent)).status_code == 200
    place.worker.tenants.tenants.configure(BRAND, TenantSettings(name=BRAND, regions=("eu-central-1",)))
    place.worker.tenants.tenants.configure(ACME, TenantSettings(name=ACME, model="amazon.nova-lite-v1:0"))
    for tenant, why in ((BRAND, "allows eu-central-1"), (ACME, "no released pair asks it")):
        sent = {"json": example | {"tenant": tenant, "form": form | {"tenant": tenant}}}
        refused = await send(tenant, "POST", "/v1/scorecard", **sent)
        assert (refused.status_code, why in refused.json()["detail"]) == (403, True), refused.text


async def test_the_owner_finds_and_changes_what_others_do_not(place, tenants):
    """The requests of the test above reach the data: sent by their owner they are answered with it."""
    send, document = tenants
    head = await place.worker.forms.head(ACME, f"{ACME}-qa")
    names = names_of(place, ACME, head.edit)
    before, reached = stored(place), set()
    for label, target, sent in requests_of(document, names, await cursor_at(send, ACME)):
        answer = await send(ACME, *target, **sent)
        if WORDS[ACME] in answer.text or (answer.status_code == 200 and target[0] != "GET"):
            reached.add(label.partition(",")[0])
    assert reached >= {
        "GET /v1/forms", "GET /v1/forms/{form_id}", "PUT /v1/forms/{form_id}/draft", "GET /v1/calls/{call_id}",
        "GET /v1/calls/figures", "GET /v1/calls/{call_id}/transcript",
        "POST /v1/calls/rescorings/{rescoring_id}/cancel", "GET /v1/calls/rescorings",
        "GET /v1/calls/rescorings/{rescoring_id}",
        "POST /v1/scorecard", "POST /v1/scorecard/feedback", "POST /v1/handovers/{handover_id}/take",
    }, reached  # fmt: skip
    assert stored(place)[ACME] != before[ACME]
