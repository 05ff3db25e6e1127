"""Calls over HTTP against a local AWS (ministack): two tenants through the pipeline, read and answered, into the warehouse."""

import json
import socket
from contextlib import closing
from dataclasses import replace

import httpx
import pytest
from made_tables import make_table
from queues import UntilEmpty, announced

from service.access.control import open_access, open_changes
from service.calls.keys import read_key
from service.calls.tenants.store import ConfiguredTenant
from service.calls.worker.build import build_worker
from service.calls.worker.people import carry
from service.core.tasks.scorecard.form import Form
from service.kit.aws.clients import client
from service.kit.aws.stores import CALLS
from service.kit.frame.errors import WarehouseBusy
from service.runtime import build_runtime
from service.warehouse.duck import DuckWarehouse

pytest.importorskip("ministack", reason="the local AWS is a development dependency: make setup")

CRITERIA = [
    {"id": "greet", "question": "Did the agent say good morning and help?", "weight": 1, "required": True},
    {"id": "sorry", "question": "Was the agent sorry to hear of the trouble?", "weight": 1},
]
DAYS = ("16", "17", "17", "18", "19")


def form(tenant):
    fields = {"form_id": "support", "tenant": tenant, "name": "Support", "version": 1, "pass_threshold": 0.5}
    return Form.model_validate({**fields, "sections": [{"id": "all", "title": "All", "criteria": CRITERIA}]})


def transcript(number):
    turns = [
        {
            "speaker": "agent",
            "start_s": 0.0,
            "text": "Good morning, you are through to Acme, how can I help you today?",
        },
        {
            "speaker": "customer",
            "start_s": 5.0,
            "text": f"My bill is wrong, this is the call number {number} about it.",
        },
        {"speaker": "agent", "start_s": 12.0, "text": "I am sorry to hear that, I have corrected the bill for you."},
    ]
    return json.dumps({"turns": turns, "call_date": f"2026-11-{DAYS[number]}T09:00:0{number}Z"}).encode()


@pytest.fixture(scope="module")
def settings(local_aws):
    return local_aws(store_timeout_s=20.0)


def put(worker, key, body):
    announced(worker.queue, lambda: worker.inputs.put(key, body))


@pytest.fixture
async def worker(settings):
    """A worker that has taken five calls of acme, one of brand and a broken one to their ends."""
    worker = build_worker(settings, pair="keywords")
    worker = replace(worker, queue=UntilEmpty(worker.queue), visible_after_s=1)
    for tenant in ("acme", "brand"):
        worker.tenants.tenants.add(ConfiguredTenant(tenant=tenant, name=tenant))
        head = await worker.forms.head(tenant, "support")
        if head.edit == 0:
            saved = await worker.forms.save_draft(form(tenant), edit=0, who="dana")
            await worker.forms.activate(tenant, "support", edit=saved.edit, who="dana")
    for number in range(5):
        put(worker, f"acme/calls/{number}.json", transcript(number))
    put(worker, "brand/calls/0.json", transcript(0))
    put(worker, "acme/calls/broken.json", b"{cut off")
    await worker.drain()
    return worker


@pytest.fixture
def ask(settings, worker, api_runtime):
    """Send a request as a tenant's client, over a socket, to a service whose stores are those of the settings."""
    import threading
    import time

    import uvicorn

    from service.app import create_app

    changes = open_changes(settings)
    secrets = {tenant: changes.add_client(f"lead-{tenant}", ["calls"], tenant=tenant) for tenant in ("acme", "brand")}
    access = open_access(settings)
    tokens = {tenant: access.tokens.issue(f"lead-{tenant}", secret, None).text for tenant, secret in secrets.items()}
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        reviews = build_runtime(settings).calls.reviews  # as a service has them
        app = create_app(runtime=api_runtime(settings=settings, access=access, calls=reviews))
        server = uvicorn.Server(uvicorn.Config(app, log_config=None, lifespan="on"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        while not server.started and thread.is_alive():
            time.sleep(0.02)
        base = f"http://127.0.0.1:{listening.getsockname()[1]}"

        def send(tenant, method, path, **more):
            return httpx.request(
                method, base + path, headers={"authorization": f"Bearer {tokens[tenant]}"}, timeout=60, **more
            )

        try:
            yield send
        finally:
            server.should_exit = True
            thread.join()


def pages(ask, tenant, **asked):
    found, after, count = [], None, 0
    while True:
        page = ask(tenant, "GET", "/v1/calls", params=asked | ({"after": after} if after else {}))
        assert page.status_code == 200, page.text
        found += page.json()["calls"]
        count += 1
        after = page.json()["next"]
        if after is None:
            return found, count


def agreement(settings, tenant):
    with closing(DuckWarehouse(settings.warehouse_file, wait_s=10)) as warehouse:
        frame = warehouse.query(
            "SELECT criterion_id, n, agreement FROM v_agreement WHERE tenant_id = :tenant", {"tenant": tenant}
        )
    return {row.criterion_id: (row.n, row.agreement) for row in frame.itertuples()}


def call_of(worker, tenant, number):
    found = next(one for one in worker.inputs.listed(tenant) if one.key == f"{tenant}/calls/{number}.json")
    return read_key(found.key, etag=found.etag).call_id


def test_calls_are_listed_newest_first_in_pages(ask, worker):
    found, _ = pages(ask, "acme")
    assert len(found) == 6
    scored = [item for item in found if item["state"] == "done"]
    assert [item["call_id"] for item in scored] == [call_of(worker, "acme", number) for number in (4, 3, 2, 1, 0)]
    assert {(item["form_id"], item["form_version"], item["percentage"], item["passed"]) for item in scored} == {
        ("support", 1, 100.0, True)
    }
    for asked, size, most in (
        ({"limit": 2}, 6, 4), ({"state": "done", "limit": 2}, 5, 3), ({"day": "2026-11-17", "limit": 1}, 2, 3),
        ({"form_id": "support", "limit": 3}, 5, 3), ({"state": "failed"}, 1, 1), ({"form_id": "sales"}, 0, 1),
        ({"day": "2020-01-01"}, 0, 1), ({"day": "2026-11-17", "state": "failed"}, 0, 1),
    ):  # fmt: skip
        items, count = pages(ask, "acme", **asked)
        assert [item["call_id"] for item in items] == list(dict.fromkeys(item["call_id"] for item in items))
        assert (len(items), count <= most) == (size, True), asked
    assert [item["failure"].partition(":")[0] for item in pages(ask, "acme", state="failed")[0]] == ["unreadable"]


def test_a_cursor_opens_no_other_tenant_and_no_other_day(ask, worker):
    cursor = ask("acme", "GET", "/v1/calls", params={"limit": 1}).json()["next"]
    theirs = ask("brand", "GET", "/v1/calls", params={"after": cursor})
    assert {item["call_id"] for item in theirs.json()["calls"]} <= {call_of(worker, "brand", 0)}
    for wrong, more in ((cursor, {"day": "2026-11-17"}), ("AAAA", {}), ("%%", {}), ("Li4vLi4v", {}), (cursor[:-3], {})):
        answer = ask("acme", "GET", "/v1/calls", params={"after": wrong, **more})
        assert (answer.status_code, answer.json()["code"]) == (422, "INVALID_REQUEST"), wrong


@pytest.mark.acceptance("qa-03")
def test_an_override_over_http_is_kept_and_changes_the_agreement(ask, worker, settings):
    call_id = call_of(worker, "acme", 0)
    second = call_of(worker, "acme", 1)
    before = ask("acme", "GET", f"/v1/calls/{call_id}").json()
    assert {item["id"]: item["verdict"] for item in before["result"]["qa_evaluation"]["criteria"]} == {
        "greet": "yes",
        "sorry": "yes",
    }
    path = f"/v1/calls/{call_id}/criteria/greet/override"
    confirmed = ask("acme", "PUT", path, json={"edit": 0, "verdict": "yes"})
    assert (confirmed.status_code, confirmed.json()["agrees"]) == (200, True)
    ask("acme", "PUT", f"/v1/calls/{second}/criteria/greet/override", json={"edit": 0, "verdict": "yes"})
    assert carry(worker) == 2
    assert agreement(settings, "acme")["greet"] == (2, 1)
    body = {"edit": 1, "verdict": "no", "reason": "He never says who he is, card 4111 1111 1111 1111."}
    made = ask("acme", "PUT", path, json=body)
    assert ask("acme", "PUT", path, json=body).json() == made.json()
    assert ask("acme", "PUT", path, json=body | {"verdict": "na"}).json()["code"] == "OVERRIDE_CHANGED"
    assert (carry(worker), carry(worker)) == (1, 0)
    assert agreement(settings, "acme")["greet"] == (2, 0.5)
    assert agreement(settings, "brand") == {}
    after = ask("acme", "GET", f"/v1/calls/{call_id}").json()
    assert after["result"] == before["result"]
    assert [(item["who"], item["edit"], item["verdict"], item["reason"]) for item in after["overrides"]] == [
        ("lead-acme", 2, "no", "He never says who he is, card [number].")
    ]


def test_another_tenants_token_opens_nothing(ask, worker):
    call_id = call_of(worker, "acme", 2)
    put = {"json": {"edit": 0, "verdict": "no"}}
    for method, path, more in (
        ("GET", f"/v1/calls/{call_id}", {}), ("PUT", f"/v1/calls/{call_id}/criteria/greet/override", put),
    ):  # fmt: skip
        assert ask("brand", method, path, **more).json()["code"] == "CALL_NOT_FOUND"
    assert ask("acme", "GET", f"/v1/calls/{call_id}").json()["overrides"] == []


def test_an_override_waits_for_a_busy_warehouse_and_is_loaded_once(ask, worker, settings):
    call_id = call_of(worker, "acme", 3)
    assert (
        ask(
            "acme", "PUT", f"/v1/calls/{call_id}/criteria/sorry/override", json={"edit": 0, "verdict": "no"}
        ).status_code
        == 200
    )

    def busy():
        raise WarehouseBusy("another process writes it")

    with pytest.raises(WarehouseBusy):
        carry(replace(worker, open_warehouse=busy))
    stores = worker.reviews.overrides
    real = stores.loaded
    stores.loaded = lambda item: None  # killed after the rows were written
    try:
        assert carry(worker) == 1
    finally:
        stores.loaded = real
    assert carry(worker) == 1
    with closing(DuckWarehouse(settings.warehouse_file, wait_s=10)) as warehouse:
        rows = warehouse.query("SELECT call_id FROM omni_call_overrides WHERE criterion_id = 'sorry'", {})
    assert list(rows["call_id"]) == [call_id]


def test_an_old_table_without_the_list_index_gets_it(settings):
    dynamodb = client("dynamodb", settings)
    keys = [{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}]
    dynamodb.create_table(
        TableName="old", KeySchema=keys, BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name in ("pk", "sk")],
    )  # fmt: skip
    make_table(dynamodb, CALLS, "old")
    make_table(dynamodb, CALLS, "old")
    indexes = dynamodb.describe_table(TableName="old")["Table"]["GlobalSecondaryIndexes"]
    assert [index["IndexName"] for index in indexes] == ["by_open", "by_date"]
