"""The function that ECS calls before traffic moves: it lets a version through only if a model answers there."""

import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from pydantic import SecretStr, ValidationError
from structlog.testing import capture_logs

from service.kit.telemetry.log import Event
from service.operate.deployment import hook
from service.operate.deployment.hook import SmokeSettings, hook_status

SECRET = "of-the-canary"  # pragma: allowlist secret


@contextmanager
def version(**changes):
    """A version of the service; ``changes`` are answers by path: a status, or a list of statuses, one for each request."""
    asked = []

    class Handler(BaseHTTPRequestHandler):
        def answer(self):
            length = int(self.headers.get("content-length", 0))
            asked.append((self.path, self.headers.get("authorization"), self.rfile.read(length).decode()))
            found = changes.get(self.path.strip("/").replace("/", "_").replace("-", "_"), 200)
            status = found if isinstance(found, int) else found.pop(0)
            bodies = {
                "/oauth/token": b'{"access_token": "t-1", "expires_in": 3600}',
                "/omni-channel-insights": b'{"degraded": %s}' % (b"true" if changes.get("degraded") else b"false"),
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
    [{"readyz": 503}, {"omni_channel_insights": 500}, {"oauth_token": 401}, {"degraded": True}],
    ids=["not ready", "an error", "no token", "no model"],
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
