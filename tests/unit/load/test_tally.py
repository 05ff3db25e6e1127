"""The table of `make load` and `make chaos`: each request lands in exactly one column, and a broken promise shows."""

import importlib.util
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

FOLDER = Path(__file__).resolve().parents[2] / "load"


def _module(name):
    # By path: tests/load is a folder of scripts and no package.
    spec = importlib.util.spec_from_file_location(f"load_{name}", FOLDER / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


tally = _module("tally")


@pytest.fixture
def scenarios(monkeypatch):
    monkeypatch.syspath_prepend(str(FOLDER))
    return _module("scenarios")


def _answer(name, status=200, ms=100.0, **more):
    good = {"degraded": False, "cache_hit": False, "mine": True} if status == 200 else {}
    return {"answered": name, "status": status, "ms": ms} | good | more


def _sent(*names, transfer=False):
    return [{"sent": name, "at": float(number), "transfer": transfer} for number, name in enumerate(names)]


def _log(event, *names):
    return [{"event": event, "correlation_id": name} for name in names]


def test_each_request_is_in_one_column():
    records = [
        *_sent("a", "b", "c", "d", "e", "f"),
        _answer("a"),
        _answer("b", ms=5001.0),
        _answer("c", degraded=True),
        _answer("d", status=503, code="UPSTREAM_UNAVAILABLE"),
        {"answered": "e", "status": 0, "ms": 3.0, "lost": "HTTPConnectionClosed"},
    ]
    row = tally.tally("x", records, [])
    assert (row.sent, row.in_time, row.late, row.degraded, row.failed, row.lost) == (6, 1, 1, 1, 1, 2)
    assert row.codes == {"UPSTREAM_UNAVAILABLE": 1}


def test_double_wrong_and_unfinished_are_found():
    log = [
        *_log("REQUEST RECEIVED", "a", "b", "c"),
        *_log("REQUEST_COMPLETED", "a", "b", "b"),
    ]
    row = tally.tally("x", [*_sent("a", "b", "c"), _answer("a", mine=False), _answer("b")], log)
    assert (row.double, row.wrong, row.unfinished, row.lost) == (1, 1, 1, 1)


def test_reuse_is_measured_on_transfers_only():
    records = [*_sent("a"), *_sent("b", "c", transfer=True), _answer("a", cache_hit=True)]
    records += [_answer("b", cache_hit=True), _answer("c")]
    assert tally.tally("x", records, []).reused == 0.5
    assert tally.tally("x", [*_sent("a"), _answer("a")], []).reused is None


def test_a_half_written_line_is_left_out(tmp_path):
    path = tmp_path / "log"
    path.write_text('{"event": "A"}\nTraceback\n{"event": "B"', encoding="utf-8")
    assert tally.read_lines(path) == [{"event": "A"}]


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({}, None),
        ({"double": 1}, "twice"),
        ({"wrong": 1}, "another request"),
        ({"lost": 1}, "no answer"),
        ({"unfinished": 1}, "never ended"),
        ({"failed": 2}, "failed"),
        ({"late": 2}, "after 5 s"),
        ({"p95": 6000.0}, "95%"),
        ({"p99": 9000.0}, "99%"),
        ({"degraded": 6}, "degraded"),
        ({"mixed": 1}, "mixture"),
        ({"sent": 0}, "no request"),
    ],
)
def test_promises_can_be_broken(scenarios, changes, problem):
    row = tally.Row(name="x", **{"sent": 100, "in_time": 100, "p95": 2000.0} | changes)
    found = scenarios.broken(scenarios.Scenario(name="x", most_degraded=0.05, most_p99_ms=8000), row)
    assert (found == ()) if problem is None else problem in " ".join(found)


def test_what_is_not_built_yet_is_named(scenarios):
    assert scenarios.missing(scenarios.Scenario(name="x", needs="service.no_such_part")) == "service.no_such_part"
    assert scenarios.missing(scenarios.Scenario(name="x", needs="service.interactions.reader")) is None
    row = tally.Row(name="x", note="not there yet (service.no_such_part)")
    assert "not there yet" in tally.markdown([row], "heading")


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({}, None),
        ({"pair": ["v1.0.0", "b" * 64, 1]}, "no release"),
        ({"headers_agree": False}, "headers"),
        ({"summary": "Please read this. A bill."}, "other prompt"),
        ({"logged": 2}, "log line"),
        ({"stored": None}, "not stored"),
        ({"stored": "b" * 64}, "stored record"),
    ],
)
def test_a_mixture_is_seen_wherever_it_shows(change, problem):
    mixture = _module("mixture")
    answer = {"pair": ["v1.0.0", "a" * 64, 1], "headers_agree": True, "summary": "A bill.", "request_id": "r"}
    row = _answer("x", **answer | {name: value for name, value in change.items() if name in answer})
    log = [{"event": "REQUEST_COMPLETED", "request_id": "r", "registry_version": change.get("logged", 1)}]
    digest = change.get("stored", "a" * 64)
    stored = {
        "r": SimpleNamespace(prompt_version="v1.0.0", pair_digest=digest, registry_version=1, summary=row["summary"])
    }
    pairs = {("v1.0.0", "a" * 64, 1): False, ("v2.0.0", "b" * 64, 2): True}
    _, wrong = mixture.mixtures([row], log, stored if digest else {}, pairs)
    assert (wrong == []) if problem is None else (len(wrong) == 1 and problem in wrong[0])
