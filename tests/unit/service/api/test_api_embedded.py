"""What an agent's browser may do: an account's token opens that account's summaries, from the named origins only."""

from dataclasses import replace

import pytest
from access_place import keep_clients
from builders import FakeFeedback, summary_record
from fastapi.testclient import TestClient
from pydantic import ValidationError

from service.access.clients import new_secret
from service.access.control import open_access
from service.answers_kept.feedback import RatedRow, SaidFeedback
from service.answers_kept.store import Summaries
from service.app import create_app
from service.kit.settings import Settings

INSIGHTS = "/omni-channel-insights"
BODY = {"account_number": "1234567890", "contact_id": "abc-123-xyz"}
OTHER = {"account_number": "9999999999", "contact_id": "abc-123-xyz"}
DESK = "https://desk.example.com"
SECRET = new_secret()
ROW = RatedRow(key="p-1", record=summary_record(account_number="1234567890", contact_id="abc"))


@pytest.fixture
def runtime(api_runtime, tmp_path):
    settings = Settings(state_dir=tmp_path, embed_origins=(DESK,))
    keep_clients(settings, SECRET, desk=["summaries", "feedback"], reader=["summaries"], ops=["operator"])
    return api_runtime(settings=settings, access=open_access(settings))


@pytest.fixture
def client(runtime):
    with TestClient(create_app(runtime=runtime)) as opened:
        yield opened


def bearer(text):
    return {"authorization": f"Bearer {text}"}


def program(runtime, name="desk"):
    return bearer(runtime.access.tokens.issue(name, SECRET, None).text)


def browser(client, runtime, name="desk", account="1234567890"):
    answer = client.post("/account-token", json={"account_number": account}, headers=program(runtime, name))
    assert answer.status_code == 200, answer.text
    assert answer.headers["cache-control"] == "no-store"
    return bearer(answer.json()["token"])


@pytest.mark.acceptance("operation-12")
def test_an_accounts_token_opens_its_summaries_and_no_others(client, runtime):
    token = browser(client, runtime)
    assert client.post(INSIGHTS, json=BODY, headers=token).status_code == 200
    refused = client.post(INSIGHTS, json=OTHER, headers=token)
    assert (refused.status_code, refused.json()["code"]) == (403, "FORBIDDEN")
    streamed = client.post(INSIGHTS, json=OTHER, headers={**token, "accept": "text/event-stream"})
    assert streamed.status_code == 403
    assert client.post(INSIGHTS, json=OTHER, headers=program(runtime)).status_code == 200


@pytest.mark.acceptance("operation-12")
def test_an_accounts_token_opens_nothing_else(client, runtime):
    token = browser(client, runtime)
    assert client.post("/account-token", json={"account_number": "9999999999"}, headers=token).status_code == 401
    assert client.post("/v1/summarize", json={}, headers=token).status_code == 401
    assert client.get("/v1/pairs", headers=token).status_code == 401
    assert "1234567890" not in str(token)


def test_an_accounts_token_rates_its_own_summaries_and_finds_no_others(runtime):
    store = FakeFeedback(ROW)
    with TestClient(create_app(runtime=replace(runtime, summaries=Summaries(feedback=store)))) as client:
        theirs, others = browser(client, runtime), browser(client, runtime, account="9999999999")
        rating = {"request_id": "req-1", "feedback": "helpful"}
        assert client.post("/feedback", json=rating, headers=theirs).status_code == 200
        assert store.kept == [SaidFeedback(rating="helpful")]
        refused = client.post("/feedback", json=rating, headers=others)
        assert (refused.status_code, refused.json()["code"]) == (404, "SUMMARY_NOT_FOUND")
        # Named by contact and account, the store is not even asked: several summaries would be listed by their ids.
        before = len(store.asked)
        named = {"contact_id": "abc", "customer_account": "1234567890", "feedback": "helpful"}
        assert client.post("/feedback", json=named, headers=others).status_code == 404
        assert (len(store.asked), store.kept) == (before, [SaidFeedback(rating="helpful")])
        assert client.post("/feedback", json=named, headers=program(runtime)).status_code == 200


def test_a_token_allows_no_more_than_its_client(client, runtime):
    assert (
        client.post(
            "/account-token", json={"account_number": "1234567890"}, headers=program(runtime, "ops")
        ).status_code
        == 403
    )
    reader = browser(client, runtime, "reader")
    assert client.post(INSIGHTS, json=BODY, headers=reader).status_code == 200
    rated = client.post("/feedback", json={"request_id": "req-1", "feedback": "helpful"}, headers=reader)
    assert rated.status_code == 403


def test_a_browsers_rate_is_bounded_below_its_clients(client, runtime):
    token = browser(client, runtime)
    statuses = [client.post(INSIGHTS, json=BODY, headers=token) for _ in range(40)]
    refused = [answer for answer in statuses if answer.status_code == 429]
    assert refused
    assert int(refused[0].headers["retry-after"]) >= 1
    assert client.post(INSIGHTS, json=BODY, headers=program(runtime)).status_code == 200


SENT = "authorization,content-type,x-api-key"  # the last is for a gateway


def test_a_named_origin_may_ask_and_another_may_not(client, runtime):
    asked = {"access-control-request-method": "POST", "access-control-request-headers": SENT}
    allowed = client.options(INSIGHTS, headers={"origin": DESK, **asked})
    assert (allowed.status_code, allowed.headers["access-control-allow-origin"]) == (200, DESK)
    assert "access-control-allow-credentials" not in allowed.headers
    other = client.options(INSIGHTS, headers={"origin": "https://evil.example.com", **asked})
    assert "access-control-allow-origin" not in other.headers
    # A refusal can be read by the page, or it could not say what is wrong.
    expired = client.post("/feedback", json={}, headers={"origin": DESK, **bearer("expired")})
    assert (expired.status_code, expired.headers["access-control-allow-origin"]) == (401, DESK)
    assert "retry-after" in expired.headers["access-control-expose-headers"]
    assert "access-control-allow-origin" not in client.get("/v1/pairs", headers={"origin": DESK}).headers


def test_without_named_origins_no_other_page_may_ask_or_frame(api_runtime):
    with TestClient(create_app(runtime=api_runtime())) as client:
        answer = client.post(INSIGHTS, json=BODY, headers={"origin": DESK})
        assert "access-control-allow-origin" not in answer.headers
        page = client.get("/workspace")
        assert "frame-ancestors 'none'" in page.headers["content-security-policy"]
        assert page.headers["x-frame-options"] == "DENY"


def test_the_page_for_the_workspace_may_be_framed_by_the_named_origins(client):
    page = client.get("/workspace")
    assert page.status_code == 200
    policy = page.headers["content-security-policy"]
    assert f"frame-ancestors {DESK};" in policy
    assert "unsafe" not in policy
    assert "x-frame-options" not in page.headers
    assert "frame-ancestors 'none'" in client.get("/chat").headers["content-security-policy"]
    assert client.get("/workspace/settings.py").status_code in (401, 404)


def test_any_page_may_load_the_widget(client):
    script = client.get("/widget.js", headers={"origin": "https://anywhere.example.com"})
    assert script.headers["content-type"] == "text/javascript; charset=utf-8"
    assert script.headers["access-control-allow-origin"] == "*"
    assert script.headers["cross-origin-resource-policy"] == "cross-origin"


@pytest.mark.parametrize("origin", ["*", "https://a.example/path", "http://desk.example.com", "null", "https://a b"])
def test_an_origin_that_is_none_is_refused(origin):
    with pytest.raises(ValidationError, match="embed_origins"):
        Settings(embed_origins=(origin,))
