"""Calls over HTTP: the tenant is the token's, people stand beside the model, and nobody answers what they have not read."""

from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta

import pytest
from access_place import keep_clients
from builders import CALL_DATE, FakeCalls, changed
from fastapi.testclient import TestClient
from structlog.testing import capture_logs

from service.access.clients import new_secret
from service.access.control import open_access
from service.app import create_app
from service.calls.failure import CallFailed, FailureReason
from service.kit.frame.errors import StoreError
from service.kit.settings import Settings
from service.kit.telemetry.fields import DROPPED, redact_log_fields

SECRET = new_secret()
VERDICTS = {"greet": "yes", "sorry": "no", "blank": None}
SAID = {"edit": 0, "verdict": "no", "reason": "No name."}


@pytest.fixture
def calls():
    return FakeCalls()


@pytest.fixture
def runtime(api_runtime, tmp_path, calls):
    folder = tmp_path / "access"
    clients = {
        name: {"scopes": scopes, **({"tenant": tenant} if tenant else {})}
        for name, scopes, tenant in (
            ("lead-a", ["calls"], "tenant-a"),
            ("second-a", ["calls"], "tenant-a"),
            ("lead-b", ["calls"], "tenant-b"),
            ("ops", ["calls"], None),
            ("widget", ["summaries", "feedback"], "tenant-a"),
        )
    }
    settings = Settings(state_dir=tmp_path, access_dir=folder)
    keep_clients(settings, SECRET, **clients)
    return api_runtime(settings=settings, access=open_access(settings), calls=calls.reviews)


@contextmanager
def client_of(runtime, name):
    with TestClient(create_app(runtime=runtime)) as client:
        client.headers["authorization"] = f"Bearer {runtime.access.tokens.issue(name, SECRET, None).text}"
        yield client


def word(client, call_id, criterion="greet", **changes):
    return client.put(f"/v1/calls/{call_id}/criteria/{criterion}/override", json=SAID | changes)


def test_a_call_is_listed_read_and_overridden(runtime, calls):
    call_id = calls.add("tenant-a", "one", VERDICTS)
    with client_of(runtime, "lead-a") as client:
        listed = client.get("/v1/calls").json()
        assert (listed["tenant"], listed["next"]) == ("tenant-a", None)
        facts = {
            "call_id": call_id, "call_date": "2026-11-16T09:00:00Z", "state": "done", "form_id": "support", "form_version": 1,
            "percentage": 50.0, "passed": False, "failure": None,
        }  # fmt: skip
        assert listed["calls"] == [facts]
        read = client.get(f"/v1/calls/{call_id}").json()
        assert (read["call"], read["overrides"]) == (facts, [])
        assert (
            read["result"]["qa_evaluation"]["qa_template_version"],
            len(read["result"]["qa_evaluation"]["criteria"]),
        ) == (1, 3)
        made = word(client, call_id)
        assert made.status_code == 200
        assert made.json() == {
            "call_id": call_id, "criterion": "greet", "edit": 1, "verdict": "no", "model_verdict": "yes", "agrees": False,
            "reason": "No name.", "who": "lead-a", "at": "2026-11-17T09:00:00Z",
        }  # fmt: skip
        again = client.get(f"/v1/calls/{call_id}").json()
        assert again["overrides"] == [made.json()]
        assert again["result"] == read["result"]  # the model's answer stays as it was


def test_an_equal_verdict_confirms_and_a_criterion_without_verdict_can_have_one(runtime, calls):
    call_id = calls.add("tenant-a", "one", VERDICTS)
    with client_of(runtime, "lead-a") as client:
        assert word(client, call_id, verdict="yes").json()["agrees"] is True
        blank = word(client, call_id, "blank").json()
        assert (blank["model_verdict"], blank["agrees"]) == (None, False)


def test_a_repeated_override_is_kept_once_whatever_edit_it_names(runtime, calls):
    call_id = calls.add("tenant-a", "one", VERDICTS)
    with client_of(runtime, "lead-a") as client:
        answers = [word(client, call_id, edit=edit) for edit in (0, 0, 1, 7)]
        assert [a.status_code for a in answers] == [200] * 4
        assert len({a.text for a in answers}) == 1
        assert len(calls.said) == 1
        assert word(client, call_id, edit=1, reason="Another reason.").json()["edit"] == 2


@pytest.mark.acceptance("code.OVERRIDE_CHANGED")
def test_an_override_with_an_outdated_edit_is_refused(runtime, calls):
    call_id = calls.add("tenant-a", "one", VERDICTS)
    with client_of(runtime, "lead-a") as client:
        word(client, call_id)
        with client_of(runtime, "second-a") as other:
            for edit in (0, 2):
                late = word(other, call_id, edit=edit)  # the same words, another person's
                assert (late.status_code, late.json()["code"]) == (409, "OVERRIDE_CHANGED")
            calls.moment -= timedelta(hours=1)  # a clock that is behind
            assert word(other, call_id, edit=1, verdict="na").json()["edit"] == 2
        newest = client.get(f"/v1/calls/{call_id}").json()["overrides"]
        assert [(item["who"], item["verdict"], item["at"]) for item in newest] == [
            ("second-a", "na", "2026-11-17T09:00:00.001000Z")
        ]


def test_one_of_two_simultaneous_overrides_is_refused(runtime, calls):
    call_id = calls.add("tenant-a", "one", VERDICTS)
    calls.of = lambda tenant, call: []  # what both read before either wrote
    with client_of(runtime, "lead-a") as client:
        assert word(client, call_id).status_code == 200
        late = word(client, call_id, verdict="na")
        assert (late.status_code, late.json()["code"]) == (409, "OVERRIDE_CHANGED")


@pytest.mark.parametrize(
    ("call", "criterion", "changes", "status", "code", "says"),
    [
        ("unknown", "greet", {}, 404, "CALL_NOT_FOUND", "has no call"),
        ("one", "other", {}, 404, "CRITERION_NOT_FOUND", "its criteria are greet, sorry, blank"),
        ("failed", "greet", {}, 409, "CALL_NOT_SCORED", "failed (model)"),
        ("waiting", "greet", {}, 409, "CALL_NOT_SCORED", "is redacted and not scored yet"),
        ("unusable", "greet", {}, 409, "CALL_NOT_SCORED", "could not be used"),
        ("expired", "greet", {}, 409, "CALL_NOT_SCORED", "no longer kept"),
        ("one", "greet", {"verdict": "maybe"}, 422, "INVALID_REQUEST", "verdict"),
        ("one", "greet", {"verdict": "yes\n"}, 422, "INVALID_REQUEST", "verdict"),
        ("one", "greet", {"edit": -1}, 422, "INVALID_REQUEST", "edit"),
        ("one", "greet", {"reason": "x" * 2001}, 422, "INVALID_REQUEST", "reason"),
        ("one", "greet", {"who": "dana"}, 422, "INVALID_REQUEST", "who"),
        ("one", "greet", {"tenant": "tenant-b"}, 422, "INVALID_REQUEST", "tenant"),
    ],
)
@pytest.mark.acceptance("code.CRITERION_NOT_FOUND", "code.CALL_NOT_SCORED")
def test_an_impossible_override_is_refused_with_a_reason(runtime, calls, call, criterion, changes, status, code, says):
    ids = {
        "unknown": "call-" + "0" * 24,
        "one": calls.add("tenant-a", "one", VERDICTS),
        "failed": calls.add("tenant-a", "failed", state="failed", reason=FailureReason.MODEL, detail="no answer"),
        "waiting": calls.add("tenant-a", "waiting", state="redacted"),
        "unusable": calls.add("tenant-a", "unusable", {}, state="needs_review"),
        "expired": calls.add("tenant-a", "expired", VERDICTS),
    }
    del calls.texts[calls.jobs["tenant-a", ids["expired"]].result_key]
    with client_of(runtime, "lead-a") as client:
        answer = word(client, ids[call], criterion, **changes)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert answer.headers["content-type"] == "application/problem+json"
    assert says in answer.json()["detail"]
    assert calls.said == {}


def test_calls_come_in_pages_by_state_day_and_form(runtime, calls):
    for day in range(5):
        calls.add("tenant-a", f"done-{day}", VERDICTS, date=CALL_DATE + timedelta(days=day))
    calls.add("tenant-a", "bad", state="failed", reason=FailureReason.FORM, detail="none fits", date=CALL_DATE)
    with client_of(runtime, "lead-a") as client:
        days, after = [], None
        while True:
            page = client.get(
                "/v1/calls", params={"limit": 2, "state": "done"} | ({"after": after} if after else {})
            ).json()
            days += [item["call_date"][:10] for item in page["calls"]]
            after = page["next"]
            if after is None:
                break
        assert days == [f"2026-11-{day}" for day in (20, 19, 18, 17, 16)]
        failed = client.get("/v1/calls", params={"state": "failed"}).json()["calls"]
        assert [(item["failure"], item["form_id"]) for item in failed] == [("form: none fits", None)]
        assert len(client.get("/v1/calls", params={"day": "2026-11-16"}).json()["calls"]) == 2
        assert len(client.get("/v1/calls", params={"form_id": "support"}).json()["calls"]) == 5
        for wrong in ({"limit": 0}, {"limit": 101}, {"state": "lost"}, {"day": "yesterday"}, {"form_id": "a/b"}):
            answer = client.get("/v1/calls", params=wrong)
            assert (answer.status_code, answer.json()["code"]) == (422, "INVALID_REQUEST"), wrong


@pytest.mark.acceptance("code.CALL_NOT_FOUND", "tenant-01")
def test_every_endpoint_of_calls_refuses_another_tenant(runtime, calls):
    call_id = calls.add("tenant-a", "one", VERDICTS)
    theirs = calls.add("tenant-b", "one", VERDICTS)
    assert call_id != theirs
    with client_of(runtime, "lead-a") as client:
        word(client, call_id)
    with client_of(runtime, "lead-b") as client:
        assert [item["call_id"] for item in client.get("/v1/calls").json()["calls"]] == [theirs]
        unknown = client.get("/v1/calls/call-" + "0" * 24)
        for answer in (client.get(f"/v1/calls/{call_id}"), word(client, call_id), word(client, call_id, "nothing")):
            assert (answer.status_code, answer.json()["code"]) == (404, "CALL_NOT_FOUND")
            # nothing tells another tenant's call from one that never was
            assert answer.json()["detail"].replace(call_id, "") == unknown.json()["detail"].replace(
                "call-" + "0" * 24, ""
            )
        for named in ({"tenant": "tenant-a"}, {"tenant_id": "tenant-a"}):
            assert [i["call_id"] for i in client.get("/v1/calls", params=named).json()["calls"]] == [theirs]
    assert {name[0] for name in calls.said} == {"tenant-a"}


@pytest.mark.parametrize(
    "path",
    [
        "..%2ftenant-a%2fcalls", "call-%2e%2e", "tenant-a%2Fcall-" + "0" * 24, "CALL-" + "0" * 24, "call-" + "0" * 24 + "%00",
        "call-" + "0" * 24 + "%0a", "call-" + "0" * 24 + "%23greet", "", "OVERRIDE%23x",
    ],
)  # fmt: skip
def test_a_call_id_cannot_be_a_path(runtime, calls, path):
    asked = []
    calls.get = lambda tenant, call_id: asked.append((tenant, call_id))
    with client_of(runtime, "lead-a") as client:
        for answer in (client.get(f"/v1/calls/{path}/x"), client.get(f"/v1/calls/{path}"), word(client, path)):
            assert answer.status_code in (200, 307, 404, 405, 422)
            assert answer.status_code != 200 or answer.json() == {"tenant": "tenant-a", "calls": [], "next": None}
        for criterion in ("greet%23000000001", "a%2Fb", "..", "x" * 49, "greet%0a"):
            assert word(client, "call-" + "0" * 24, criterion).status_code in (404, 405, 422)
    assert asked == []


@pytest.mark.parametrize("name", ["ops", "widget"])
def test_without_a_tenant_or_the_scope_there_are_no_calls(runtime, calls, name):
    call_id = calls.add("tenant-a", "one", VERDICTS)
    with client_of(runtime, name) as client:
        for answer in (client.get("/v1/calls"), client.get(f"/v1/calls/{call_id}"), word(client, call_id)):
            assert (answer.status_code, answer.json()["code"]) == (403, "FORBIDDEN")
    with TestClient(create_app(runtime=runtime)) as nobody:
        assert word(nobody, call_id).status_code == 401
    assert calls.said == {}


def test_a_call_scored_before_items_held_the_form_shows_it_when_read(runtime, calls):
    call_id = calls.add("tenant-a", "one", VERDICTS)
    calls.jobs["tenant-a", call_id] = replace(calls.jobs["tenant-a", call_id], scored=None)
    with client_of(runtime, "lead-a") as client:
        assert client.get(f"/v1/calls/{call_id}").json()["call"]["form_id"] == "support"


@pytest.mark.acceptance("event.CALL_OVERRIDDEN")
def test_a_reason_is_redacted_and_never_logged(runtime, calls):
    call_id = calls.add("tenant-a", "one", VERDICTS)
    with client_of(runtime, "lead-a") as client, capture_logs() as logs:
        made = word(client, call_id, reason="The card 4111 1111 1111 1111 was read out.").json()
    assert made["reason"] == "The card [number] was read out."
    assert "4111" not in repr(calls.said)
    told = [line for line in logs if line["event"] == "CALL_OVERRIDDEN"]
    assert [(line["tenant"], line["call_id"], line["criterion"], line["agrees"]) for line in told] == [
        ("tenant-a", call_id, "greet", False)
    ]
    assert "read out" not in repr(logs)
    assert DROPPED not in redact_log_fields(
        None, "", {name: told[0][name] for name in ("event", "tenant", "call_id", "criterion", "agrees")}
    )


@pytest.mark.acceptance("code.REASON_NOT_REDACTED")
def test_a_reason_that_cannot_be_redacted_is_not_kept(runtime, calls):
    class Broken:
        def redact(self, turns):
            raise CallFailed(FailureReason.REDACTION, "turn 0: broke")

    call_id = calls.add("tenant-a", "one", VERDICTS)
    with client_of(changed(runtime, calls=replace(calls.reviews, redactor=Broken())), "lead-a") as client:
        answer = word(client, call_id)
    assert (answer.status_code, answer.json()["code"], calls.said) == (422, "REASON_NOT_REDACTED", {})


def test_text_that_is_not_unicode_is_refused(runtime, calls):
    call_id = calls.add("tenant-a", "one", VERDICTS)
    with client_of(runtime, "lead-a") as client:
        body = rb'{"edit": 0, "verdict": "no", "reason": "\ud800"}'
        path = f"/v1/calls/{call_id}/criteria/greet/override"
        assert client.put(path, content=body, headers={"content-type": "application/json"}).status_code == 422


def test_a_missing_or_failing_call_store_is_reported(runtime, calls):
    def down(*_, **__):
        raise StoreError("table 'calls' cannot be reached")

    calls.page = down
    for answering in (runtime, changed(runtime, calls=None)):
        with client_of(answering, "lead-a") as client:
            answer = client.get("/v1/calls")
            assert (answer.status_code, answer.json()["code"]) == (503, "UPSTREAM_UNAVAILABLE")
