"""The log: what is not declared is not written, accounts are keyed hashes, other libraries' texts are withheld."""

import ast
import io
import json
import logging
import sys
from pathlib import Path

import pytest
import structlog
from structlog.testing import capture_logs

from service.kit.telemetry.fields import DROPPED, FIELDS, account_hash, redact_log_fields, set_account_key
from service.kit.telemetry.log import Event, bind_request, configure_logging, flush_log, log

SERVICE = Path(__file__).resolve().parents[5] / "service"
SECRET = "furious about $284.60, account 1234567890"


@pytest.fixture
def written(monkeypatch):
    """The log's lines as they would be on standard output."""
    root = logging.getLogger()
    before = (root.level, root.handlers[:])
    out = io.StringIO()
    monkeypatch.setattr(sys, "stdout", out)
    configure_logging("INFO")

    def lines():
        flush_log()
        return [json.loads(line) for line in out.getvalue().splitlines()]

    yield lines
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()
    root.handlers[:] = before[1]
    root.setLevel(before[0])


def test_a_log_that_is_configured_again_receives_the_lines(written):
    log(Event.SERVICE_STARTED)
    structlog.reset_defaults()
    with capture_logs() as anew:
        log(Event.SERVICE_STOPPED)
    assert [line["event"] for line in anew] == ["SERVICE_STOPPED"]
    assert [line["event"] for line in written()] == ["SERVICE_STARTED"]


def test_known_fields_are_written_and_unknown_ones_only_named(written):
    bind_request("req-1")
    log(Event.REQUEST_COMPLETED, latency_ms=12, degraded=False, model_used="nova-lite", summary=SECRET)
    (line,) = written()
    assert (line["latency_ms"], line["degraded"], line["model_used"], line["request_id"]) == (
        12,
        False,
        "nova-lite",
        "req-1",
    )
    assert line[DROPPED] == ["summary"]
    assert "284" not in json.dumps(line)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("latency_ms", SECRET),
        ("degraded", "yes"),
        ("model_used", "line\nbreak"),
        ("model_used", "x" * 201),
        ("path", 'quote"'),
        ("pair", {"a": 1}),
    ],
)
def test_a_value_of_another_form_is_dropped(name, value):
    assert redact_log_fields(None, "info", {name: value}) == {DROPPED: [name]}


def test_an_invalid_field_name_is_not_repeated():
    assert redact_log_fields(None, "info", {"tel $ 0171": 1}) == {DROPPED: ["unnamed"]}


def test_long_digits_in_a_reason_are_masked():
    kept = redact_log_fields(None, "warning", {"reason": "account 1234567890 and card 4111 1111 1111 1111, 3 items"})
    assert kept == {"reason": "account # and card #, 3 items"}


def test_other_libraries_records_keep_only_place_and_error(written):
    try:
        raise ValueError(SECRET)
    except ValueError:
        logging.getLogger("some.library").exception("prompt was %s", SECRET)
    (line,) = written()
    assert (line["event"], line["logger"], line["error"]) == ("LIBRARY_LOG", "some.library", "ValueError")
    assert line["place"].startswith("test_fields:")
    assert "284" not in json.dumps(line)


def test_every_field_that_the_service_logs_is_declared():
    undeclared = []
    for path in SERVICE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            called = isinstance(node, ast.Call) and ast.unparse(node.func)
            if called == "log" or (called or "").endswith("bind_contextvars"):
                undeclared += [
                    f"{path.name}:{node.lineno} {keyword.arg}"
                    for keyword in node.keywords
                    if keyword.arg and keyword.arg not in FIELDS
                ]
    assert undeclared == [], "declare them in service/kit/telemetry/fields.py, if they can never hold customer text"


def test_account_hashes_join_lines_and_need_the_key():
    set_account_key(b"k" * 32)
    first = account_hash("1234567890")
    assert first == account_hash("1234567890") != account_hash("1234567891")
    set_account_key(b"l" * 32)
    assert account_hash("1234567890") != first
    assert len(account_hash("\ud800")) == 16  # what JSON can hold, a log line must bear
