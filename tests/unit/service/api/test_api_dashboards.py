"""The dashboards' door and answers: who may look, what a browser's cookie can do, and problems instead of failures."""

import asyncio
import re
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from functools import partial
from urllib.parse import urlparse

import pyarrow as pa
import pytest
from access_place import keep_clients
from answer_rows import answer
from fastapi.testclient import TestClient
from structlog.testing import capture_logs

from service.access.clients import new_secret
from service.access.control import open_access
from service.access.sessions import COOKIE, Sessions
from service.access.throttle import Throttle
from service.access.tokens import Tokens
from service.api.assets import ASSETS, content
from service.app import create_app
from service.dashboards.reader import DashboardReader
from service.kit.frame.errors import WarehouseBusy
from service.kit.settings import Settings
from service.warehouse import open_warehouse
from service.warehouse.events import SummaryEvent

SECRET = new_secret()
RANGE = {"from": "2026-11-16", "to": "2026-11-18"}


@pytest.fixture
def runtime(api_runtime, tmp_path, hand_made_warehouse):
    folder = tmp_path / "access"
    settings = Settings(state_dir=tmp_path, access_dir=folder)
    keep_clients(settings, SECRET, widget=["summaries", "feedback"], ops=["operator"])
    hand_made_warehouse(settings.warehouse_file)
    reader = DashboardReader(lambda: open_warehouse(settings, read_only=True))
    return api_runtime(settings=settings, access=open_access(settings), dashboards=reader)


@contextmanager
def browser(runtime):
    with TestClient(create_app(runtime=runtime), base_url="http://127.0.0.1") as client:
        yield client


def bearer(runtime, name="ops"):
    return {"authorization": f"Bearer {runtime.access.tokens.issue(name, SECRET, None).text}"}


def link_code(client, runtime):
    path = client.post("/dashboards/link", headers=bearer(runtime)).json()["path"]
    assert urlparse(path).path == "/dashboards"
    return urlparse(path).fragment.removeprefix("code=")


def cookie_of(client):
    return next(cookie for cookie in client.cookies.jar if cookie.name == COOKIE)


def test_the_figures_are_the_hand_worked_ones(runtime):
    with browser(runtime) as client:
        body = client.get("/v1/dashboards/effectiveness", params=RANGE, headers=bearer(runtime)).json()
    totals = body["visuals"][0]["rows"][0]["figures"]
    assert (totals["not_helpful_rate"]["value"], totals["not_helpful_rate"]["n"]) == (0.25, 68)
    assert totals["helpful_per_not_helpful"]["value"] == 3.0
    assert totals["rated_rate"]["value"] == pytest.approx(68 / 74)
    assert totals["edited_rate"]["value"] == pytest.approx(3 / 74)
    assert body["warehouse"] == {
        "oldest": "2026-11-16",
        "newest": "2026-11-18",
        "newest_at": "2026-11-18T09:13",
        "answers": 74,
        "pairs": ["alpha", "beta"],
        "tasks": ["summarize"],
    }


def test_performance_by_hand(runtime):
    with browser(runtime) as client:
        body = client.get("/v1/dashboards/performance", params=RANGE, headers=bearer(runtime)).json()
    figures = {name: figure for visual in body["visuals"][:2] for name, figure in visual["rows"][0]["figures"].items()}
    # 74 latencies of 10, 20 .. 740 ms: the median is 375, p95 interpolates at place 69.35 (counting from 0).
    assert (figures["p50"]["value"], figures["p95"]["value"]) == (375.0, pytest.approx(703.5))
    # Places: 37 - 1.96 sqrt(18.5) = 28.57 and 37 + 8.43 = 45.43, so the 28th and the 47th answer; p99 has no upper one.
    assert (figures["p50"]["low"], figures["p50"]["high"]) == (280.0, 470.0)
    assert (figures["p99"]["high"], figures["p99"]["small"]) == (None, True)
    rates = {name: (figure["value"], figure["n"]) for name, figure in figures.items() if not name.startswith("p9")}
    assert rates["reuse_rate"] == (pytest.approx(1 / 74), 74)
    assert rates["transfer_reuse_rate"] == (0.5, 2)
    # A model was asked for 74 less 4 without interactions, 1 reused and 1 digest.
    assert rates["prompt_cache_rate"] == (pytest.approx(30 / 68), 68)
    assert rates["degraded_rate"] == (pytest.approx(1 / 74), 74)
    assert rates["failover_rate"] == (pytest.approx(3 / 68), 68)


def test_cost_by_hand(runtime):
    with browser(runtime) as client:
        body = client.get("/v1/dashboards/cost", params=RANGE, headers=bearer(runtime)).json()
    visuals = {visual["name"]: visual for visual in body["visuals"]}
    totals, each = (visuals[name]["rows"][0]["figures"] for name in ("totals", "per_summary_totals"))
    # 60 x 0.0002 + 10 x 0.0005 + 4 x 0. The plan (R-COST) for 59 of nova-lite and 9 of Haiku.
    assert totals["total"]["value"] == pytest.approx(0.017)
    assert totals["seed_low"]["value"] == pytest.approx(59 * 0.008 + 9 * 0.025)
    assert totals["seed_high"]["value"] == pytest.approx(59 * 0.012 + 9 * 0.035)
    assert (each["per_summary"]["value"], each["per_summary"]["n"]) == (pytest.approx(0.017 / 74), 74)
    assert each["seed_low"]["value"] == pytest.approx((59 * 0.008 + 9 * 0.025) / 68)
    month = [row["figures"]["so_far"]["value"] for row in visuals["month"]["rows"]]
    assert month == [pytest.approx(0.008), pytest.approx(0.017), pytest.approx(0.017)]
    assert [row["key"] for row in visuals["per_pair"]["rows"]] == ["alpha", "beta"]


def test_one_pair(runtime):
    with browser(runtime) as client:
        body = client.get(
            "/v1/dashboards/effectiveness", params=RANGE | {"pair": "beta"}, headers=bearer(runtime)
        ).json()
        nobody = client.get("/v1/dashboards/effectiveness", params={"pair": "' OR 1=1 --"}, headers=bearer(runtime))
    figure = body["visuals"][0]["rows"][0]["figures"]["not_helpful_rate"]
    assert (figure["value"], figure["n"], figure["small"]) == (0.5, 10, True)
    assert nobody.json()["visuals"][0]["rows"][0]["figures"]["rated_rate"]["n"] == 0


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/v1/dashboards/no-such", 404),
        ("/v1/dashboards/cost?from=yesterday", 422),
        ("/v1/dashboards/cost?from=2026-11-18&to=2026-11-16", 422),
        ("/v1/dashboards/cost?from=2000-01-01&to=2026-11-16", 422),
    ],
)
def test_an_invalid_dashboard_query_is_a_problem(runtime, path, status):
    with browser(runtime) as client:
        answer = client.get(path, headers=bearer(runtime))
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json")
    assert answer.json()["detail"]


@pytest.mark.parametrize("path", ["/v1/dashboards", "/v1/dashboards/cost"])
def test_dashboards_need_the_operator_scope(runtime, path):
    with browser(runtime) as client:
        assert client.get(path).status_code == 401
        assert client.get(path, headers=bearer(runtime, "widget")).status_code == 403
        assert client.get(path, headers=bearer(runtime)).status_code == 200


@pytest.mark.acceptance("event.WAREHOUSE_UNREADABLE")
def test_a_locked_or_missing_warehouse_says_what_to_do(runtime, api_runtime):
    def locked():
        raise WarehouseBusy("omni.duckdb is in use by another process: wait for the loader to finish")

    for reader, said in (
        (DashboardReader(locked), "wait for the loader"),
        (DashboardReader(lambda: open_warehouse(Settings(state_dir="/nowhere"), read_only=True)), "omni load-events"),
        (None, "without a warehouse"),
    ):
        with capture_logs() as logs, browser(api_runtime(dashboards=reader)) as client:
            answer = client.get("/v1/dashboards/cost")
        assert answer.status_code == 503
        assert any(line["event"] == "WAREHOUSE_UNREADABLE" for line in logs) is (reader is not None)
        assert said in answer.json()["detail"]


@pytest.mark.acceptance("event.SESSION_OPENED")
def test_a_link_opens_once(runtime):
    with browser(runtime) as client:
        code = link_code(client, runtime)
        assert client.get("/v1/dashboards").status_code == 401
        with capture_logs() as logs:
            assert client.post("/dashboards/session", json={"code": code}).json() == {"expires_in": 3600}
        assert [line["client"] for line in logs if line["event"] == "SESSION_OPENED"] == ["ops"]
        assert client.get("/v1/dashboards").status_code == 200
    with browser(runtime) as other:
        again = other.post("/dashboards/session", json={"code": code})
        assert (again.status_code, "used before" in again.json()["detail"]) == (401, True)


def test_a_link_ends_after_two_minutes(runtime):
    now = [1_800_000_000.0]
    old = runtime.access.tokens
    tokens = Tokens(old.keys, old.clients, issuer="omni-insights", audience="omni-insights", now=lambda: now[0])
    sessions = Sessions(tokens, timer=lambda: now[0])
    code = sessions.link(tokens.verify(f"Bearer {tokens.issue('ops', SECRET, None).text}")).text
    now[0] += 135
    with pytest.raises(Exception, match="expired"):
        asyncio.run(sessions.from_link(code))


def test_a_pasted_token_opens_a_session_that_ends_with_it(runtime):
    now = [1_800_000_000.0]
    old = runtime.access.tokens
    tokens = Tokens(old.keys, old.clients, issuer="omni-insights", audience="omni-insights", now=lambda: now[0])
    token = tokens.issue("ops", SECRET, None).text
    now[0] += 3000
    session = Sessions(tokens, timer=lambda: now[0]).from_token(token)
    assert session.expires_in_s == 600


def test_the_cookie_is_http_only_and_limited_to_its_path(runtime):
    with browser(runtime) as client:
        token = bearer(runtime)["authorization"].removeprefix("Bearer ")
        answer = client.post("/dashboards/session", json={"token": token})
        said = answer.headers["set-cookie"].lower()
        assert "httponly" in said
        assert "samesite=strict" in said
        assert "path=/v1/dashboards" in said
        assert "secure" not in said  # plain HTTP on loopback
        assert answer.headers["cache-control"] == "no-store"
        assert token not in answer.text


def test_in_aws_the_cookie_is_secure(runtime, api_runtime):
    aws = Settings(environment="aws", state_dir=runtime.settings.state_dir, access_dir=runtime.settings.access.dir)
    with browser(api_runtime(settings=aws, access=runtime.access)) as client:
        token = bearer(runtime)["authorization"].removeprefix("Bearer ")
        assert "secure" in client.post("/dashboards/session", json={"token": token}).headers["set-cookie"].lower()


def test_a_cookie_can_only_read_dashboards(runtime):
    with browser(runtime) as client:
        client.post("/dashboards/session", json={"code": link_code(client, runtime)})
        value = cookie_of(client).value
        sent = {"cookie": f"{COOKIE}={value}"}
        client.cookies.clear()
        assert client.get("/v1/dashboards/cost", headers=sent).status_code == 200
        for method, path in (
            ("GET", "/v1/pairs"),
            ("GET", "/metrics"),
            ("POST", "/dashboards/link"),
            ("POST", "/v1/dashboards"),
            ("POST", "/feedback"),
            ("GET", "/v1/dashboardsx"),
        ):
            assert client.request(method, path, headers=sent).status_code == 401, path
        # Nor is it a bearer token, nor a token a cookie.
        assert client.get("/v1/dashboards", headers={"authorization": f"Bearer {value}"}).status_code == 401
        token = bearer(runtime)["authorization"].removeprefix("Bearer ")
        assert client.get("/v1/dashboards", headers={"cookie": f"{COOKIE}={token}"}).status_code == 401


def test_a_session_ends_when_its_client_loses_the_operator_scope(runtime):
    with browser(runtime) as client:
        client.post("/dashboards/session", json={"code": link_code(client, runtime)})
        assert client.get("/v1/dashboards").status_code == 200
        keep_clients(runtime.settings, SECRET, ops=["summaries"])
        runtime.access.refresh()
        assert client.get("/v1/dashboards").status_code == 403


def test_a_session_counts_against_its_clients_limits(runtime, api_runtime):
    throttle = Throttle()
    access = type(runtime.access)(tokens=runtime.access.tokens, throttle=throttle)
    admitted = []
    inner = throttle.admit
    object.__setattr__(throttle, "admit", lambda caller: admitted.append(caller.client_id) or inner(caller))
    with browser(api_runtime(access=access, dashboards=None)) as client:
        client.post("/dashboards/session", json={"code": link_code(client, runtime)})
        client.get("/v1/dashboards")
    assert admitted == ["ops", "ops"]


@pytest.mark.parametrize("name", ["widget"])
def test_other_scopes_get_neither_link_nor_session(runtime, name):
    with browser(runtime) as client:
        assert client.post("/dashboards/link", headers=bearer(runtime, name)).status_code == 403
        token = bearer(runtime, name)["authorization"].removeprefix("Bearer ")
        answer = client.post("/dashboards/session", json={"token": token})
        assert answer.status_code == 403
        assert "set-cookie" not in answer.headers


@pytest.mark.parametrize("given", [{}, {"token": "x"}, {"code": "x"}, {"code": "x", "token": "y"}, {"token": "é" * 50}])
def test_a_malformed_code_or_token_opens_no_session(runtime, given):
    with browser(runtime) as client:
        answer = client.post("/dashboards/session", json=given)
    assert answer.status_code == 401
    assert "set-cookie" not in answer.headers


@pytest.mark.parametrize("method", ["POST", "DELETE"])
def test_another_site_cannot_open_or_close_a_session(runtime, method):
    with browser(runtime) as client:
        code = link_code(client, runtime)
        for site in ("cross-site", "same-site"):
            answer = client.request(
                method, "/dashboards/session", json={"code": code}, headers={"sec-fetch-site": site}
            )
            assert answer.status_code == 403
            assert "set-cookie" not in answer.headers


def test_signing_out_deletes_the_cookie(runtime):
    with browser(runtime) as client:
        client.post("/dashboards/session", json={"code": link_code(client, runtime)})
        assert client.delete("/dashboards/session").status_code == 204
        assert client.get("/v1/dashboards").status_code == 401


@pytest.mark.acceptance("header-10")
def test_the_page_is_public_holds_no_figure_and_has_a_strict_policy(runtime):
    with browser(runtime) as client:
        for path in ("/dashboards", *(f"/dashboards/{name}" for name in ASSETS["dashboards"])):
            answer = client.get(path)
            assert answer.status_code == 200, path
            policy = dict(part.split(" ", 1) for part in answer.headers["content-security-policy"].split("; "))
            assert policy["default-src"] == "'none'"
            assert policy["script-src"] == policy["style-src"] == policy["connect-src"] == "'self'"
            assert "unsafe" not in answer.headers["content-security-policy"]
            assert answer.headers["x-content-type-options"] == "nosniff"
            assert answer.headers["x-frame-options"] == "DENY"
        assert client.get("/dashboards/other.js").status_code == 401


def test_the_page_has_no_inline_code_and_loads_nothing_from_other_hosts():
    page = content("dashboards.html").decode()
    assert re.findall(r"<script(?![^>]*\bsrc=)|<style|\son\w+=|\sstyle=", page) == []
    for name in ("dashboards.html", *ASSETS["dashboards"]):
        addresses = set(re.findall(r"https?://[^\"'\s)]+", content(name).decode()))
        assert addresses <= {"http://www.w3.org/2000/svg"}, name  # a namespace, not an address
        assert not re.findall(r"innerHTML|outerHTML|insertAdjacentHTML|eval\(|document\.write", content(name).decode())


def test_each_task_has_figures_of_its_own(runtime):
    rows = [answer(datetime(2026, 11, 18, 9, n, tzinfo=UTC), "helpful", task="shout", pair="loud") for n in range(3)]
    with closing(open_warehouse(runtime.settings)) as warehouse:
        warehouse.merge(SummaryEvent, pa.Table.from_pylist([row.model_dump() for row in rows]))
    with browser(runtime) as client:
        ask = partial(client.get, headers=bearer(runtime))
        named = ask("/v1/dashboards", params={"task": "shout"}).json()["dashboards"]
        titles = ["Answer Effectiveness", "Performance Metrics", "Cost Analysis", "Conversations"]
        assert [board["title"] for board in named] == titles
        shout = ask("/v1/dashboards/effectiveness", params=RANGE | {"task": "shout"}).json()
        assert (shout["task"], shout["title"]) == ("shout", "Answer Effectiveness")
        assert (shout["warehouse"]["answers"], shout["warehouse"]["pairs"]) == (3, ["loud"])
        totals = shout["visuals"][0]["rows"][0]["figures"]
        assert (totals["helpful_rate"]["value"], totals["helpful_rate"]["n"]) == (1.0, 3)
        assert totals["helpful_per_not_helpful"]["value"] is None  # nothing to divide by
        by_task = next(visual for visual in shout["visuals"] if visual["name"] == "by_task")
        assert [row["key"] for row in by_task["rows"]] == ["summarize", "shout"]
        for name in ("performance", "cost"):
            assert ask(f"/v1/dashboards/{name}", params=RANGE | {"task": "shout"}).status_code == 200
        summaries = ask("/v1/dashboards/effectiveness", params=RANGE).json()
        assert (summaries["task"], summaries["warehouse"]["tasks"]) == ("summarize", ["summarize", "shout"])
        assert summaries["visuals"][0]["rows"][0]["figures"]["not_helpful_rate"]["n"] == 68  # as without shouts
        unknown = ask("/v1/dashboards/cost", params={"task": "shoot"})
        assert (unknown.status_code, unknown.json()["code"]) == (422, "INVALID_REQUEST")
        assert "no answers of task 'shoot'; it holds those of summarize, shout" in unknown.json()["detail"]


def test_tasks_are_for_operators_alone(runtime):
    with browser(runtime) as client:
        answered = client.get("/v1/dashboards/cost", params={"task": "shout"}, headers=bearer(runtime, "widget"))
        assert answered.status_code == 403
