"""The door: which path needs which scope, what is refused before a body is read, and how the refusal reads."""

import json
from contextlib import contextmanager
from dataclasses import replace

import jwt
import pytest
from access_place import keep_clients
from builders import changed
from fastapi.testclient import TestClient
from structlog.testing import capture_logs

from service.access.clients import new_secret
from service.access.control import open_access
from service.api.http.access import PUBLIC, scope_of
from service.api.http.limits import MAX_DEPTH, depth_exceeds
from service.api.pairs import agents_of
from service.app import create_app
from service.core.run.task import load_task
from service.core.unit.pair import Sampling
from service.kit.settings import Settings
from service.runtime import build_runtime

INSIGHTS = "/omni-channel-insights"
BODY = {"account_number": "1234567890", "contact_id": "abc-123-xyz"}
SECRET = new_secret()
LIMITS = {"rate_per_s": 0.5, "burst": 2, "concurrent": 5}


@pytest.fixture
def runtime(api_runtime, tmp_path):
    folder = tmp_path / "access"
    clients = {
        "widget": ["summaries", "feedback"],
        "ops": ["operator"],
        "small": {"scopes": ["summaries"], **LIMITS},
    }
    settings = Settings(state_dir=tmp_path, access_dir=folder, max_body_bytes=4096)
    keep_clients(settings, SECRET, **clients)
    return api_runtime(settings=settings, access=open_access(settings))


@contextmanager
def client_of(runtime, name=None, scope=None):
    with TestClient(create_app(runtime=runtime)) as client:
        if name is not None:
            client.headers["authorization"] = f"Bearer {runtime.access.tokens.issue(name, SECRET, scope).text}"
        yield client


def test_the_bytes_of_a_body_count_in_the_rate(runtime):
    settings = Settings(state_dir=runtime.settings.state_dir, max_body_bytes=100_000)
    with client_of(changed(runtime, settings=settings), "small") as client:
        answers = [client.post(INSIGHTS, json={"x": "y" * size}) for size in (40_000, 10)]
    assert [answer.status_code for answer in answers] == [422, 429]


def test_the_bytes_of_a_body_that_is_refused_count_as_well(runtime):
    settings = Settings(state_dir=runtime.settings.state_dir, max_body_bytes=100_000)
    with client_of(changed(runtime, settings=settings), "small") as client:
        answers = [client.post(INSIGHTS, content=body) for body in (b"[" * 40_000, b"{}")]
    assert [answer.status_code for answer in answers] == [422, 429]


@pytest.mark.acceptance("event.TOKEN_ISSUED")
def test_a_token_from_the_endpoint_is_accepted(runtime):
    with client_of(runtime) as client:
        form = {"grant_type": "client_credentials", "scope": "summaries"}
        with capture_logs() as logs:
            answer = client.post("/oauth/token", data=form, auth=("widget", SECRET))
        assert [entry["client"] for entry in logs if entry["event"] == "TOKEN_ISSUED"] == ["widget"]
        assert SECRET not in str(logs)
        assert answer.status_code == 200
        assert (answer.json()["token_type"], answer.json()["expires_in"], answer.json()["scope"]) == (
            "Bearer",
            3600,
            "summaries",
        )
        assert answer.headers["cache-control"] == "no-store"
        keys = jwt.PyJWKSet.from_dict(client.get("/.well-known/jwks.json").json())
        kid = jwt.get_unverified_header(answer.json()["access_token"])["kid"]
        jwt.decode(answer.json()["access_token"], keys[kid].key, algorithms=["ES256"], audience="omni-insights")
        token = {"authorization": f"Bearer {answer.json()['access_token']}"}
        assert client.post(INSIGHTS, json=BODY, headers=token).status_code == 200
        assert client.post("/feedback", json=BODY, headers=token).status_code == 403


@pytest.mark.parametrize(
    ("form", "auth", "status", "error"),
    [
        ({"grant_type": "client_credentials"}, ("widget", "wrong"), 401, "invalid_client"),
        (
            {"grant_type": "client_credentials", "client_id": "widget", "client_secret": "x"},
            None,
            401,
            "invalid_client",
        ),
        ({"grant_type": "client_credentials"}, None, 401, "invalid_client"),
        ({"grant_type": "password"}, ("widget", SECRET), 400, "unsupported_grant_type"),
        ({}, ("widget", SECRET), 400, "invalid_request"),
        ({"grant_type": ["client_credentials", "password"]}, ("widget", SECRET), 400, "invalid_request"),
        ({"grant_type": "client_credentials", "client_secret": SECRET}, ("widget", SECRET), 400, "invalid_request"),
        ({"grant_type": "client_credentials", "scope": "operator"}, ("widget", SECRET), 400, "invalid_scope"),
    ],
)
def test_token_errors_follow_rfc_6749(runtime, form, auth, status, error):
    with client_of(runtime) as client:
        answer = client.post(
            "/oauth/token", data=form, auth=auth, headers={"content-type": "application/x-www-form-urlencoded"}
        )
    assert (answer.status_code, answer.json()["error"]) == (status, error)
    assert ("www-authenticate" in answer.headers) == (status == 401)
    assert SECRET not in answer.text


@pytest.mark.parametrize("content", [b"\xff\xfe=%ff", b"grant_type=%ff%fe", b'{"grant_type": "client_credentials"}'])
def test_token_requests_with_a_malformed_form_are_refused(runtime, content):
    with client_of(runtime) as client:
        for kind in ("application/x-www-form-urlencoded", "application/json"):
            answer = client.post("/oauth/token", content=content, headers={"content-type": kind})
            assert 400 <= answer.status_code < 500


def test_every_path_but_the_public_ones_needs_a_token(runtime):
    app = create_app(runtime=runtime)
    operations = [(path, method) for path, item in app.openapi()["paths"].items() for method in item]
    assert (INSIGHTS, "post") in operations
    with TestClient(app) as client:
        for path, method in [
            *operations,
            ("/nowhere", "get"),
            ("/v1/summarize/", "post"),
            ("/healthz/../feedback", "post"),
        ]:
            answer = client.request(method, path)
            if path in PUBLIC:
                assert answer.status_code != 401 or path == "/oauth/token"
            else:
                assert answer.status_code == 401, path
                assert answer.headers["www-authenticate"] == 'Bearer realm="omni-insights"'
                assert answer.json()["code"] == "UNAUTHORIZED"


def test_an_unknown_path_needs_the_operator_scope():
    assert [
        scope_of(path) for path in (INSIGHTS, "/feedback", "/v1/summarize", "/v1/pairs", "/metrics", "/healthz")
    ] == [
        "summaries",
        "feedback",
        "task:summarize",
        "operator",
        "operator",
        None,
    ]


@pytest.fixture(scope="module")
def described():
    """Each path with each method, once an application has described them: that takes half a second."""
    return []


@pytest.mark.parametrize(
    ("held", "may"),
    [
        ("summaries", {"summaries", "task:summarize", "task:scorecard"}),
        ("feedback", {"feedback"}),
        ("operator", {"calls", "forms"}),  # of a tenant: what is the tenant's, nothing of the whole service
        ("handovers", {"handovers"}),
        ("calls", {"calls"}),
        ("forms", {"forms"}),
        ("tenants", set()),  # of a tenant: nothing
        ("task:summarize", {"task:summarize"}),
        ("task:scorecard", {"task:scorecard"}),
        ("task:other", set()),
        ("task:*", {"task:summarize", "task:scorecard"}),
    ],
)
@pytest.mark.acceptance("tenant-03")
def test_each_operation_with_each_scope(runtime, described, held, may):
    keep_clients(runtime.settings, SECRET, only={"scopes": [held], "tenant": "acme"})
    runtime.access.refresh()
    app = create_app(runtime=changed(runtime, tasks={name: load_task(name) for name in ("summarize", "scorecard")}))
    operations = described or [(path, method) for path, item in app.openapi()["paths"].items() for method in item]
    described[:] = operations
    assert {scope_of(path) for path, _ in operations} == {
        None,
        "summaries",
        "feedback",
        "operator",
        "handovers",
        "calls",
        "forms",
        "tenants",
        "task:summarize",
        "task:scorecard",
    }
    with TestClient(app, raise_server_exceptions=False) as client:
        client.headers["authorization"] = f"Bearer {runtime.access.tokens.issue('only', SECRET, None).text}"
        for path, method in operations:
            needed = scope_of(path)
            answer = client.request(method, path, json={})
            assert (answer.status_code != 403) == (needed is None or needed in may), (path, answer.text)


def test_a_token_may_be_narrowed_to_what_a_scope_comes_with(runtime):
    with client_of(runtime, "widget", "task:summarize") as client:
        assert client.post("/v1/summarize", json={}).status_code == 422
        assert client.post(INSIGHTS, json=BODY).status_code == 403


@pytest.mark.acceptance("header.WWW-Authenticate", "code.FORBIDDEN")
def test_wrong_scope_is_403_and_names_it(runtime):
    with client_of(runtime, "widget", "feedback") as client:
        answer = client.post(INSIGHTS, json=BODY)
    assert (answer.status_code, answer.json()["code"]) == (403, "FORBIDDEN")
    assert answer.headers["www-authenticate"] == (
        'Bearer realm="omni-insights", error="insufficient_scope", scope="summaries"'
    )


@pytest.mark.acceptance("event.ACCESS_DENIED", "code.UNAUTHORIZED")
def test_a_forged_token_is_401_and_not_echoed_or_logged(runtime):
    with client_of(runtime) as client, capture_logs() as logs:
        headers = {"authorization": "Bearer eyJ.forged.secret-4711"}
        answer = client.post(INSIGHTS + "?x=4711", json=BODY, headers=headers)
    assert answer.headers["www-authenticate"] == 'Bearer realm="omni-insights", error="invalid_token"'
    assert (answer.status_code, answer.headers["content-type"]) == (401, "application/problem+json")
    assert "4711" not in answer.text + json.dumps(logs)
    assert [entry["denied"] for entry in logs if entry["event"] == "ACCESS_DENIED"] == ["UNAUTHORIZED"]


def test_duplicate_authorization_headers_are_ignored(runtime):
    with client_of(runtime) as client:
        token = runtime.access.tokens.issue("widget", SECRET, None).text
        headers = [("authorization", f"Bearer {token}"), ("authorization", "Bearer x")]
        assert client.post(INSIGHTS, json=BODY, headers=headers).status_code == 401


@pytest.mark.acceptance("header.Retry-After", "code.RATE_LIMITED")
def test_too_many_requests_are_429_with_retry_after(runtime):
    with client_of(runtime, "small") as client:
        answers = [client.post(INSIGHTS, json=BODY) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert answers[2].json()["code"] == "RATE_LIMITED"
    assert 1 <= int(answers[2].headers["retry-after"]) <= 2


@pytest.mark.acceptance("code.CONCURRENCY_LIMITED")
def test_finished_requests_leave_the_concurrency_count(runtime):
    with client_of(runtime, "widget") as client:
        for _ in range(3):
            client.post(INSIGHTS, json=BODY)
    assert runtime.access.throttle._states["widget"].in_flight == 0


@pytest.mark.acceptance("code.CONCURRENCY_LIMITED")
def test_too_many_at_once_are_429_with_retry_after(runtime):
    with client_of(runtime, "widget") as client:
        client.post(INSIGHTS, json=BODY)
        state = runtime.access.throttle._states["widget"]
        state.in_flight = 10_000  # as many as the client may have, and more
        refused = client.post(INSIGHTS, json=BODY)
        state.in_flight = 0
        again = client.post(INSIGHTS, json=BODY)
    assert (refused.status_code, refused.json()["code"], again.status_code) == (429, "CONCURRENCY_LIMITED", 200)
    assert int(refused.headers["retry-after"]) >= 1


@pytest.mark.acceptance("code.PAYLOAD_TOO_LARGE")
def test_large_bodies_are_refused(runtime):
    with client_of(runtime, "widget") as client:
        stated = client.post(INSIGHTS, content=b" " * 10_000_000)
        chunked = client.post(INSIGHTS, content=(b" " * 1024 for _ in range(100)))
        fits = client.post(
            INSIGHTS, content=json.dumps(BODY).encode().ljust(4096), headers={"content-type": "application/json"}
        )
    for answer in (stated, chunked):
        assert (answer.status_code, answer.json()["code"]) == (413, "PAYLOAD_TOO_LARGE")
        assert answer.headers["connection"] == "close"
    assert fits.status_code == 200


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b'{"account_number": "\xff\xff\xff\xff", "contact_id": "c"}', "the body is not UTF-8"),
        (b'{"contact_id": ' + b"[" * 500 + b"]" * 500 + b"}", "the body is nested deeper than 16 levels"),
    ],
)
def test_bad_encodings_and_depths_are_422(runtime, content, message):
    with client_of(runtime, "widget") as client:
        answer = client.post(INSIGHTS, content=content, headers={"content-type": "application/json"})
    assert (answer.status_code, answer.json()["code"]) == (422, "INVALID_REQUEST")
    assert answer.json()["errors"] == [{"field": "body", "message": message}]


def test_depth_counts_brackets_outside_strings():
    assert not depth_exceeds(b"[" * MAX_DEPTH + b"]" * MAX_DEPTH, MAX_DEPTH)
    assert depth_exceeds(b"[" * (MAX_DEPTH + 1), MAX_DEPTH)
    assert not depth_exceeds(b"[]" * 1000, MAX_DEPTH)
    assert not depth_exceeds(json.dumps(["[{" * 500, '"[' * 500]).encode(), MAX_DEPTH)
    assert depth_exceeds(json.dumps(['"', json.loads("[" * 20 + "]" * 20)]).encode(), MAX_DEPTH)


@pytest.mark.acceptance("promise-16")
def test_operator_sees_what_is_served_and_on_which_evidence(runtime, notary):
    source = runtime.answering.pair_sources["summarize"]
    from service.core.release.statements import envelope_digest

    pair = source.served.pair
    evidence = notary.sign(notary.attestation(pair))
    release = notary.release(pair, attestation=envelope_digest(evidence, "it"))
    source.served = replace(source.served, release_envelope=notary.sign(release), attestation_envelope=evidence)
    with client_of(runtime, "ops") as client:
        body = client.get("/v1/pairs").json()
    (found,) = body["pairs"]
    assert (found["task"], found["pair"], found["pair_digest"]) == ("summarize", "extractive", pair.digest)
    assert (found["release"]["sequence"], found["release"]["why"]) == (3, "because")
    assert found["release"]["attestation"] == envelope_digest(evidence, "it")
    assert (found["evidence"]["evaluation_id"], found["evidence"]["verdict"]) == ("e1", "pass")
    assert (found["evidence"]["unseen"], found["evidence"]["headline"]) == ([], "pass")
    assert found["release"]["unseen_allowed_in"] is None


def test_operator_sees_what_nobody_looked_at_and_who_allowed_it(runtime, notary):
    found = _shown(runtime, notary, {"unseen": ("negation",), "looked_at": ("mood",)}, unseen_allowed_in="prod")
    assert found["evidence"]["headline"] == "pass; no judge model looked at negation"
    assert (found["evidence"]["unseen"], found["evidence"]["looked_at"]) == (["negation"], ["mood"])
    assert found["release"]["unseen_allowed_in"] == "prod"


def test_evidence_that_does_not_state_what_nobody_looked_at_is_shown_as_null(runtime, notary):
    found = _shown(runtime, notary, {"unseen": None})
    assert (found["evidence"]["unseen"], found["evidence"]["looked_at"]) == (None, [])
    assert found["evidence"]["headline"] == "pass for form and figures; whether anybody looked at meaning is not stated"


@pytest.mark.acceptance("agent-01")
def test_the_registry_of_agents_answers_the_seeds_example(runtime, notary):
    source = runtime.answering.pair_sources["summarize"]
    pair = replace(
        source.served.pair,
        version="2.1",
        model="amazon.nova-pro-v1:0",
        sampling=Sampling(temperature=0.7, max_output_tokens=1000),
    )
    evidence = notary.attestation(pair, performance={"approvalRate": 0.85, "avgScore": 8.2}, unseen=("negation",))
    source.served = replace(source.served, pair=pair, attestation_envelope=notary.sign(evidence))
    with client_of(runtime, "ops") as client:
        (found,) = client.get("/v1/agents").json()["agents"]
    assert found == {
        "agentId": "summarize",
        "version": "2.1",
        "promptTemplate": "prompts:/summarize/7",
        "bedrockModel": "amazon.nova-pro-v1:0",
        "config": {"temperature": 0.7, "maxTokens": 1000},
        "status": "production",
        "share": 100,
        "performance": {"approvalRate": 0.85, "avgScore": 8.2},
        "createdAt": "t",
        "approvalStatus": "pass; no judge model looked at negation",
        "pairDigest": pair.digest,
    }


@pytest.mark.acceptance("agent-01")
def test_a_pair_that_is_rolled_out_is_an_agent_with_its_share(runtime):
    source = runtime.answering.pair_sources["summarize"]
    candidate = replace(source.served, pair=replace(source.served.pair, version="3.0"), rollout_arm="candidate")

    class Rollout:
        def __init__(self, percent):
            self.candidate, self.percent = candidate, percent

        def status(self):
            return {"percent": self.percent}

    for percent, expected in ((10, [("production", 90), ("rollout", 10)]), (0, [("production", 100)])):
        found = [
            (record.status, record.share)
            for record in agents_of(changed(runtime, rollouts={"summarize": Rollout(percent)}).answering)
        ]
        assert found == expected


def _shown(runtime, notary, evidence, **release):
    source = runtime.answering.pair_sources["summarize"]
    pair = source.served.pair
    source.served = replace(
        source.served,
        release_envelope=notary.sign(notary.release(pair, **release)),
        attestation_envelope=notary.sign(notary.attestation(pair, **evidence)),
    )
    with client_of(runtime, "ops") as client:
        return client.get("/v1/pairs").json()["pairs"][0]


def test_pairs_without_statements_are_shown_without_evidence(runtime):
    with client_of(runtime, "ops") as client:
        (found,) = client.get("/v1/pairs").json()["pairs"]
    assert (found["evidence"], found["release"]["attestation"]) == (None, None)


def test_the_real_service_is_never_built_without_access(tmp_path):
    served = build_runtime(Settings(state_dir=tmp_path))
    assert served.access is not None
    assert served.conversing.handovers is not None
    alone = build_runtime(Settings(state_dir=tmp_path), guarded=False)
    assert (alone.access, alone.conversing.handovers) == (None, None)


@pytest.mark.parametrize(
    "path", ["/metrics", "/v1/pairs", "/v1/dashboards", "/v1/dashboards/effectiveness", "/v1/tenants"]
)
@pytest.mark.acceptance("tenant-03")
def test_an_operator_of_a_tenant_sees_nothing_of_the_whole_service(runtime, path):
    keep_clients(
        runtime.settings,
        SECRET,
        theirs={"scopes": ["operator", "tenants"], "tenant": "acme"},
        ours=["operator", "tenants"],
    )
    runtime.access.refresh()
    with TestClient(create_app(runtime=runtime)) as client:
        token = runtime.access.tokens.issue("theirs", SECRET, None).text
        answer = client.get(path, headers={"authorization": f"Bearer {token}"})
        assert answer.status_code == 403
        assert answer.json()["detail"] == "this path shows the whole service: use a client that belongs to no tenant"
        assert client.post("/dashboards/session", json={"token": token}).status_code == 403
        assert client.post("/dashboards/link", headers={"authorization": f"Bearer {token}"}).status_code == 403
        token = runtime.access.tokens.issue("ours", SECRET, None).text
        assert client.get(path, headers={"authorization": f"Bearer {token}"}).status_code != 403
