"""The table of `make load` and `make chaos`: each request lands in exactly one column, and a broken promise shows."""

import importlib.util
import os
import sys
from dataclasses import replace
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


def test_further_calls_are_those_beyond_a_requests_first():
    log = [{"event": "BEDROCK_INVOKE_START", "correlation_id": name} for name in ("a", "a", "b", "warm", "warm")]
    records = [*_sent("a", "b", "c"), _answer("a"), _answer("b"), _answer("c", cache_hit=True)]
    assert tally.tally("x", records, log).further == 0.5
    assert tally.tally("x", records, []).further == 0.0


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
        ({"further": 0.13}, "further calls"),
        ({"mixed": 1}, "mixture"),
        ({"sent": 0}, "no request"),
        ({"reused": 0.69}, "69% of the transfers"),
        ({"reused": None}, "no transfer"),
        ({"codes": {"INTERNAL_ERROR": 1, "UPSTREAM_UNAVAILABLE": 7}}, "also named INTERNAL_ERROR,"),
        ({"answered_during": 1}, "nothing to answer from"),
        ({"sent_after": 0}, "nothing was sent after"),
        ({"failed_after": 2}, "after the fault"),
    ],
)
def test_promises_can_be_broken(scenarios, changes, problem):
    good = {"sent": 100, "in_time": 100, "p95": 2000.0, "reused": 0.9, "sent_after": 20}
    row = tally.Row(name="x", **good | {"codes": {"UPSTREAM_UNAVAILABLE": 1}} | changes)
    promised = scenarios.Scenario(
        name="x",
        most_degraded=0.05,
        most_further=0.12,
        most_p99_ms=8000,
        least_reused=0.7,
        only_code="UPSTREAM_UNAVAILABLE",
        none_answered=True,
        most_failed_after=0.05,
    )
    found = scenarios.broken(promised, row)
    assert (found == ()) if problem is None else problem in " ".join(found) + ","


def _bad(scenario):
    """A service that answers everything, right, and much too slowly, reuses nothing and fails when it should not."""
    return tally.Row(
        name=scenario.name,
        sent=1000,
        failed=1000,
        p95=14_000.0,
        p99=15_000.0,
        reused=0.0,
        codes={"INTERNAL_ERROR": 1000},
    )


def test_every_scenario_has_a_bound_that_a_bad_service_breaks(scenarios):
    for scenario in (*scenarios.LOAD, *scenarios.CHAOS):
        broken = scenarios.broken(scenario, _bad(scenario))
        assert any("failed" in problem or "named" in problem for problem in broken), scenario.name
        assert scenario.most_failed < 1.0, f"{scenario.name} lets every request fail"
        assert scenario.most_p95_ms is not None, f"{scenario.name} promises nothing about time"


def _scenario(scenarios, name):
    return next(item for item in (*scenarios.LOAD, *scenarios.CHAOS) if item.name == name)


# What each check was written for: a good run, and the one figure in it that must break the promise.
@pytest.mark.parametrize(
    ("name", "good", "bad"),
    [
        ("agent transfer within 5 min", {"reused": 0.93}, {"reused": 0.6}),
        ("agent transfer within 5 min", {"reused": 0.93}, {"reused": None}),
        ("500 at once, every 10 s", {"p95": 4300.0}, {"p95": 5100.0}),
        ("500 at once, every 10 s", {"degraded": 20}, {"degraded": 200}),
        ("100 to 1,000 agents, one question in 10 s each", {"p95": 4300.0}, {"p95": 5100.0}),
        ("DynamoDB down", {"sent_after": 90}, {"failed": 1000, "sent_after": 90, "failed_after": 90}),
        ("DynamoDB down", {"failed": 500, "sent_after": 90}, {"sent_after": 90, "answered_during": 3}),
        ("DynamoDB down", {"sent_after": 90}, {"sent_after": 90, "codes": {"INTERNAL_ERROR": 4}}),
    ],
)
def test_a_check_holds_for_a_good_run_and_breaks_for_a_bad_one(scenarios, name, good, bad):
    scenario = _scenario(scenarios, name)
    usual = {"sent": 1000, "p95": 2600.0, "p99": 4400.0}
    assert scenarios.broken(scenario, tally.Row(name=name, **usual | good)) == ()
    assert scenarios.broken(scenario, tally.Row(name=name, **usual | bad)) != ()


def test_requests_around_the_end_of_a_fault_are_told_apart():
    records = [
        *({"sent": name, "at": at, "transfer": False} for name, at in (("a", 1.0), ("b", 4.9), ("c", 7.0), ("d", 8.0))),
        {"sent": "e", "at": 9.0, "transfer": False},
        _answer("a", ms=500.0),  # over while the fault lasted
        _answer("b", ms=500.0),  # over after it
        _answer("c", status=503, code="UPSTREAM_UNAVAILABLE"),  # within the grace
        _answer("d", status=503, code="UPSTREAM_UNAVAILABLE"),
        _answer("e"),
    ]
    row = tally.tally("x", records, [], fault_until=5.0)
    assert (row.answered_during, row.sent_after, row.failed_after) == (1, 2, 1)
    assert tally.tally("x", records, []).sent_after == 0


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


def test_the_stand_in_answers_as_every_model_of_the_pair(scenarios, monkeypatch, tmp_path):
    import rig

    given = []

    def bedrock(arguments, log):
        given.extend(arguments)
        raise InterruptedError

    monkeypatch.setattr(rig, "LocalBedrock", bedrock)
    with pytest.raises(InterruptedError):
        rig.Rig(tmp_path, stores="memory").__enter__()
    pair = rig.the_pair(rig.Settings())
    assert pair.model == scenarios.PRIMARY
    assert set(given[given.index("--echo-models") + 1].split(",")) == set(pair.models)


def test_a_starved_machine_excuses_late_answers_and_nothing_else(scenarios):
    scenario = scenarios.Scenario(name="s", most_p95_ms=5000)
    row = tally.Row(name="s", sent=10, in_time=9, late=1, p95=6000.0, wrong=1)
    judged = scenarios.judged(scenario, row)
    assert (len(judged.broken), judged.open) == (3, ())
    starved = scenarios.judged(scenario, replace(row, served=scenarios.LEAST_SERVED - 0.01))
    assert starved.broken == ("1 answers belonged to another request",)
    assert [problem.partition(",")[0] for problem in starved.open] == [
        "10.0% came after 5 s", "95% of the answers took up to 6000 ms",
    ]  # fmt: skip
    assert "cannot judge" in tally.markdown([starved], "h")
    assert scenarios.judged(scenario, replace(row, late=0, wrong=0, p95=1.0, served=0.0)).open == ()


@pytest.mark.skipif(not Path("/proc/self/schedstat").exists(), reason="Linux says it")
def test_the_share_with_a_processor_counts_waiting_only(scenarios):
    import rig

    assert rig.share_served((1.0, 1.0), (2.0, 4.0)) == 0.25
    assert rig.share_served((0.0, 0.0), (0.0, 0.0)) == 1.0
    ran, waited = rig.on_processors_s(os.getpid())
    assert ran > 0
    assert waited >= 0
