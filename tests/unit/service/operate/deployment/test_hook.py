"""The functions that ask about the canary account: a version gets traffic only if a model answers there, each minute a figure."""

import json
import threading
from contextlib import contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from botocore.exceptions import ClientError
from pydantic import SecretStr, ValidationError
from structlog.testing import capture_logs

from service.interactions.items import from_item
from service.kit.frame.errors import StoreError
from service.kit.telemetry.log import Event
from service.operate.deployment import hook
from service.operate.deployment.hook import SmokeSettings, hook_status
from service.operate.deployment.smoke import write_history

SECRET = "of-the-canary"  # pragma: allowlist secret
ANSWER = {"degraded": False, "cache_hit": False, "model_used": "nova-lite", "interactions_considered": 3}


@contextmanager
def version(**changes):
    """A version of the service; ``changes`` are answers by path: a status, or a list of statuses, one for each request."""
    asked, keys = [], set()

    class Handler(BaseHTTPRequestHandler):
        def answer(self):
            length = int(self.headers.get("content-length", 0))
            asked.append((self.path, self.headers.get("authorization"), self.rfile.read(length).decode()))
            keys.add(self.headers.get("x-api-key"))
            found = changes.get(self.path.strip("/").replace("/", "_").replace("-", "_"), 200)
            status = found if isinstance(found, int) else found.pop(0)
            bodies = {
                "/oauth/token": b'{"access_token": "t-1", "expires_in": 3600}',
                "/omni-channel-insights": json.dumps(ANSWER | changes.get("answer", {})).encode(),
            }
            self.send_response(status)
            self.end_headers()
            self.wfile.write(bodies.get(self.path, b"{}"))

        do_GET = do_POST = answer  # noqa: N815  the library's names

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", asked
        assert keys <= {changes.get("key")}
    finally:
        server.shutdown()
        server.server_close()


def settings(url, **changes):
    given = {"url": url, "account": "9000000000", "client_id": "smoke", "client_secret": SecretStr(SECRET)}
    return SmokeSettings(**given | changes)


def no_sleep(_):
    pass


def test_a_version_that_answers_about_the_canary_account_may_have_traffic():
    with version() as (url, asked):
        assert hook_status(settings(url), sleep=no_sleep) == "SUCCEEDED"
    token, ready, answer = asked
    assert (token[0], ready[0], answer[0]) == ("/oauth/token", "/readyz", "/omni-channel-insights")
    assert SECRET in token[2]
    assert answer[1] == "Bearer t-1"
    assert '"9000000000"' in answer[2]


@pytest.mark.parametrize(
    "fault",
    [
        {"readyz": 503},
        {"omni_channel_insights": 500},
        {"oauth_token": 401},
        {"answer": {"degraded": True}},
        {"answer": {"interactions_considered": 0, "model_used": "none"}},  # the customer has no history
        {"answer": {"model_used": "none"}},
        {"answer": {"cache_hit": True}},
    ],
    ids=["not ready", "an error", "no token", "a digest", "no history", "no model", "a stored summary"],
)
@pytest.mark.acceptance("operation-16")
def test_a_version_that_fails_every_time_gets_no_traffic(fault):
    with version(**fault) as (url, asked):
        assert hook_status(settings(url, attempts=2), sleep=no_sleep) == "FAILED"
    assert [path for path, *_ in asked].count("/oauth/token") == 2


def test_one_throttled_request_refuses_no_version():
    waits = []
    with version(omni_channel_insights=[503, 200]) as (url, _):
        assert hook_status(settings(url, pause_s=4), sleep=waits.append) == "SUCCEEDED"
    assert waits == [4]


def test_nothing_behind_the_test_listener_gets_no_traffic():
    with version() as (url, _):
        pass
    assert hook_status(settings(url, attempts=1)) == "FAILED"


def test_ecs_hears_its_own_word(monkeypatch):
    with version() as (url, _):
        given = {"URL": url, "ACCOUNT": "9000000000", "CLIENT_ID": "smoke", "CLIENT_SECRET": SECRET}
        for name, value in given.items():
            monkeypatch.setenv(f"OMNI_SMOKE_{name}", value)
        assert hook.lambda_handler({"lifecycleStage": "POST_TEST_TRAFFIC_SHIFT"}, None) == {"hookStatus": "SUCCEEDED"}


def test_a_function_without_its_settings_raises_so_that_ecs_goes_back(monkeypatch):
    monkeypatch.delenv("OMNI_SMOKE_URL", raising=False)
    with pytest.raises(ValidationError):
        hook.lambda_handler({}, None)


@pytest.mark.acceptance("event.SMOKE_TESTED")
def test_the_log_says_why_and_holds_no_secret():
    with capture_logs() as lines, version(readyz=503) as (url, _):
        hook_status(settings(url, attempts=1))
    (line,) = lines
    assert SECRET not in str(lines)
    assert line["event"] == Event.SMOKE_TESTED
    assert (line["outcome"], line["calls"]) == ("failed", 1)
    assert line["reason"] == "/readyz answered 503"


def figures(capsys):
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines() if '"CanaryAnswered"' in line]
    return [line["CanaryAnswered"] for line in lines]


@pytest.mark.parametrize(("answer", "figure"), [({}, 1), ({"model_used": "none"}, 0)], ids=["answers", "does not"])
def test_the_canary_writes_each_minute_whether_a_model_answered(monkeypatch, capsys, answer, figure):
    with version(answer=answer, key="of-the-gateway", readyz=403) as (url, asked):
        given = {
            "URL": url,
            "ACCOUNT": "9000000000",
            "CLIENT_ID": "smoke",
            "CLIENT_SECRET": SECRET,
            "KEY": "of-the-gateway",
        }
        for name, value in given.items():
            monkeypatch.setenv(f"OMNI_SMOKE_{name}", value)
        assert hook.canary_handler({}, None) == {"answered": bool(figure)}
    assert [path for path, *_ in asked] == ["/oauth/token", "/omni-channel-insights"]  # the gateway has no /readyz
    assert figures(capsys) == [[figure]]


class Keys:
    """KMS with keys in these states; one without a state is refused."""

    def __init__(self, **states):
        self.states = states

    def describe_key(self, *, KeyId):  # noqa: N803  the library's name
        if self.states[KeyId] is None:
            raise ClientError({"Error": {"Code": "AccessDeniedException", "Message": "no"}}, "DescribeKey")
        return {"KeyMetadata": {"KeyState": self.states[KeyId]}}


@pytest.mark.parametrize(
    ("states", "figure"),
    [
        ({"data": "Enabled", "tokens": "Enabled"}, [[0]]),
        ({"data": "Disabled", "tokens": "PendingDeletion"}, [[2]]),
        ({"data": "Enabled", "tokens": None}, []),
    ],
    ids=["usable", "disabled and waiting for deletion", "KMS does not tell"],
)
@pytest.mark.acceptance("figure.omni_keys_unusable")
def test_the_canary_counts_the_keys_that_cannot_be_used(monkeypatch, capsys, states, figure):
    monkeypatch.setattr("boto3.client", lambda service, **_: {"kms": Keys(**states)}[service])
    with version() as (url, _):
        given = {
            "URL": url, "ACCOUNT": "9000000000", "CLIENT_ID": "smoke", "CLIENT_SECRET": SECRET,
            "KEYS": json.dumps(list(states)),
        }  # fmt: skip
        for name, value in given.items():
            monkeypatch.setenv(f"OMNI_SMOKE_{name}", value)
        assert hook.canary_handler({}, None) == {"answered": True}
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["KeysUnusable"] for line in lines if "KeysUnusable" in line] == figure
    told = [line["reason"] for line in lines if line.get("event") == "SMOKE_TESTED" and "key " in line["reason"]]
    assert len(told) == sum(state != "Enabled" for state in states.values())


@pytest.mark.acceptance("figure.omni_canary_answered")
def test_the_canarys_history_is_what_the_service_reads_and_stays_within_a_week():
    written = {}

    class Table:
        def batch_write_item(self, RequestItems):  # noqa: N803  the library's name
            for request in RequestItems["interactions"]:
                item = request["PutRequest"]["Item"]
                written[item["occurred_at"]["S"]] = from_item(item)
            return {"UnprocessedItems": {}}

    for day in range(7):
        write_history(Table(), "interactions", "9000000000", datetime(2026, 11, 23 + day, 0, 5, tzinfo=UTC))
    assert sorted(one.interaction_id for one in written.values()) == ["canary-1", "canary-4", "canary-9"]
    assert max(one.timestamp for one in written.values()) < datetime(2026, 11, 23, tzinfo=UTC)


def test_a_canary_whose_history_cannot_be_written_gets_no_traffic(monkeypatch):
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-2")
    monkeypatch.setattr(hook, "write_history", lambda *_: (_ for _ in ()).throw(StoreError("not allowed")))
    with version() as (url, asked), capture_logs() as lines:
        assert hook_status(settings(url, attempts=1, table="interactions"), sleep=no_sleep) == "FAILED"
    assert asked == []
    assert lines[0]["reason"] == "the canary's history cannot be written: not allowed"
