"""Quality of calls over HTTP: the tenant is the token's, what cannot be asked is said, and a transcript may be gone."""

import json
from contextlib import contextmanager
from dataclasses import replace
from functools import partial

import pytest
from access_place import keep_clients
from builders import changed
from fastapi.testclient import TestClient
from scored_calls import planted

from service.access.clients import new_secret
from service.access.control import open_access
from service.api.assets import ASSETS
from service.app import create_app
from service.calls.keys import transcript_key
from service.dashboards.calls import SAMPLE
from service.dashboards.reader import DashboardReader, read_warehouse
from service.kit.settings import Settings

SECRET = new_secret()
TURN = {"speaker": "agent", "start_s": 1.5, "text": "Good morning."}
SIXTH = {"form_id": "support", "criterion": "greet", "from": "2026-11-09", "to": "2026-11-15"}


@pytest.fixture
def made():
    return planted()


@pytest.fixture
def runtime(api_runtime, tmp_path, made):
    settings = Settings(state_dir=tmp_path / "state", access_dir=tmp_path / "access")
    clients = {
        name: {"scopes": scopes, **({"tenant": tenant} if tenant else {})}
        for name, scopes, tenant in (
            ("lead", ["calls"], "acme"),
            ("other", ["calls"], "brand"),
            ("new", ["calls"], "newcomer"),
            ("homeless", ["calls"], None),
            ("desk", ["handovers", "forms"], "acme"),
        )
    }
    keep_clients(settings, SECRET, **clients)
    settings.warehouse_file.parent.mkdir(parents=True, exist_ok=True)
    made.write(settings.warehouse_file)
    reader = DashboardReader(partial(read_warehouse, settings))
    return api_runtime(settings=settings, access=open_access(settings), calls=made.calls.reviews, dashboards=reader)


@contextmanager
def client_of(runtime, name):
    if runtime.dashboards is not None:  # the application before has closed its reader
        runtime = replace(runtime, dashboards=DashboardReader(partial(read_warehouse, runtime.settings), cache_s=0))
    with TestClient(create_app(runtime=runtime)) as client:
        if name is not None:
            client.headers["authorization"] = f"Bearer {runtime.access.tokens.issue(name, SECRET, None).text}"
        yield client


def test_a_lead_reads_the_figures_of_its_tenant(runtime):
    with client_of(runtime, "lead") as client:
        answer = client.get("/v1/calls/figures")
        assert answer.headers["cache-control"] == "no-store"
        found = answer.json()
        assert (found["tenant"], found["form_id"], found["to"]) == ("acme", "support", "2026-11-09")
        assert found["held"]["forms"] == ["support", "sales"]
        assert [one["criterion"] for one in found["changes"]] == ["greet"]
        heat = next(visual for visual in found["visuals"] if visual["name"] == "by_group")
        assert {(row["key"], row["column"]) for row in heat["rows"]} >= {("greet", "cards"), ("greet", "loans")}
        listed = client.get("/v1/calls/failures", params=SIXTH).json()
        assert (listed["criterion"], len(listed["calls"])) == ("greet", 6)
        assert len(client.get("/v1/calls/failures", params=SIXTH | {"agent": "a1"}).json()["calls"]) == 1
    with client_of(runtime, "other") as client:
        assert client.get("/v1/calls/figures").json()["held"]["calls"] == 3
        assert len(client.get("/v1/calls/failures", params=SIXTH).json()["calls"]) == 3
    with client_of(runtime, "new") as client:
        found = client.get("/v1/calls/figures", params={"tenant": "acme", "tenant_id": "acme"}).json()
        assert (found["form_id"], found["held"]["calls"], found["criteria"]) == (None, 0, [])


def test_a_lead_gets_a_random_sample_of_the_week_and_the_passed_calls(runtime):
    with client_of(runtime, "lead") as client:
        week = {"form_id": "support", "to": "2026-11-11"}
        sample = client.get("/v1/calls/listed", params=week | {"kind": "sample"}).json()
        assert (sample["from"], sample["to"]) == ("2026-11-09", "2026-11-15")
        again = client.get("/v1/calls/listed", params=week | {"kind": "sample", "to": "2026-11-15"}).json()
        assert again == sample
        drawn = [call["call_id"] for call in sample["calls"]]
        assert 0 < len(drawn) == len(set(drawn)) <= SAMPLE
        passed = client.get("/v1/calls/listed", params=SIXTH | {"kind": "passed"}).json()["calls"]
        assert all(call["passed"] for call in passed)
        assert [call["call_date"] for call in passed] == sorted((call["call_date"] for call in passed), reverse=True)
        review = client.get("/v1/calls/listed", params=SIXTH | {"kind": "needs_review"}).json()["calls"]
        assert all(call["state"] == "needs_review" for call in review)
        assert client.get("/v1/calls/listed", params=week | {"kind": "failed"}).status_code == 422
    with client_of(runtime, "other") as client:
        theirs = client.get("/v1/calls/listed", params=week | {"kind": "sample"}).json()["calls"]
        assert not {call["call_id"] for call in theirs} & set(drawn)


@pytest.mark.parametrize(
    "path", ["/v1/calls/figures", "/v1/calls/failures", "/v1/calls/listed", f"/v1/calls/call-{0:024x}/transcript"]
)
def test_who_may_not_see_calls_is_refused(runtime, path):
    for name, status in ((None, 401), ("desk", 403), ("homeless", 403)):
        with client_of(runtime, name) as client:
            assert client.get(path, params=SIXTH | {"kind": "passed"}).status_code == status, name


@pytest.mark.parametrize(
    ("path", "asked", "said"),
    [
        ("/v1/calls/figures", {"form_id": "nobody-qa"}, "choose from support, sales"),
        ("/v1/calls/figures", {"from": "2026-11-09", "to": "2026-11-08"}, "`from` must not be after `to`"),
        ("/v1/calls/figures", {"from": "2020-01-01", "to": "2026-11-08"}, "longer than 731 days"),
        ("/v1/calls/figures", {"form_id": "' OR 1=1"}, "form_id"),
        ("/v1/calls/failures", SIXTH | {"to": "2026-11-01"}, "`from` must not be after `to`"),
        ("/v1/calls/failures", {"form_id": "support", "to": "2026-11-15"}, "criterion"),
    ],
)
def test_what_cannot_be_asked_is_said(runtime, path, asked, said):
    with client_of(runtime, "lead") as client:
        answer = client.get(path, params=asked)
    assert (answer.status_code, answer.json()["code"]) == (422, "INVALID_REQUEST")
    assert said in answer.text


def test_a_transcript_is_the_tenants_and_may_be_gone(runtime, made):
    call = next(call_id for tenant, call_id in made.calls.jobs if tenant == "acme")
    with client_of(runtime, "lead") as client:
        assert client.get(f"/v1/calls/{call}/transcript").json() == {"call_id": call, "kept": False, "turns": []}
        made.calls.texts[transcript_key("acme", call)] = json.dumps({"turns": [TURN], "by": "json"})
        assert client.get(f"/v1/calls/{call}/transcript").json() == {"call_id": call, "kept": True, "turns": [TURN]}
        assert client.get(f"/v1/calls/call-{0:024x}/transcript").json()["code"] == "CALL_NOT_FOUND"
    with client_of(runtime, "other") as client:
        assert client.get(f"/v1/calls/{call}/transcript").status_code == 404


def test_a_service_without_a_warehouse_or_calls_says_so(runtime):
    for field, path in (("dashboards", "/v1/calls/figures"), ("calls", f"/v1/calls/call-{0:024x}/transcript")):
        with client_of(changed(runtime, **{field: None}), "lead") as client:
            assert client.get(path).status_code == 503


def test_the_page_is_public_and_holds_nothing(runtime):
    with client_of(runtime, None) as client:
        page = client.get("/qa")
        assert page.status_code == 200
        assert "script-src 'self'" in page.headers["content-security-policy"]
        assert "acme" not in page.text
        for name in ASSETS["qa"]:
            assert client.get(f"/qa/{name}").status_code == 200
        assert client.get("/qa/nothing.js").status_code in (401, 404)
