"""The targets of `omni bench service` are ratios to a bare gateway of the same run, and a missed one shows in the exit code."""

import importlib.util
import sys
from dataclasses import replace
from pathlib import Path

import pytest

FOLDER = Path(__file__).resolve().parents[2] / "load"


@pytest.fixture
def targets(monkeypatch):
    monkeypatch.syspath_prepend(str(FOLDER))  # tests/load is a folder of scripts and no package
    spec = importlib.util.spec_from_file_location("load_service_targets", FOLDER / "service_targets.py")
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, spec.name, module)  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def good(targets):
    return targets.Measured(
        turns=[targets.Turn(service=200, bare=2000)] * 3,
        service_added=[10.0] * 95 + [27.0] * 5,
        bare_added=[2.0] * 95 + [13.0] * 5,
        first_texts=[20.0] * 20,
        ready_s=[1.2, 1.3, 1.2],
        rss_mb=[300.0, 310.0, 305.0],
    )


def missed(targets, measured):
    rows = targets.judged(measured)
    assert targets.exit_code(rows) == (1 if any(not row.met for row in rows) else 0)
    return [row.what.strip().split(",")[0].split(":")[0] for row in rows if not row.met]


def test_a_run_that_meets_every_target_ends_with_zero(targets, good):
    assert missed(targets, good) == []
    assert targets.exit_code(targets.judged(good)) == 0


def test_the_bare_gateways_figures_stand_in_the_same_table(targets, good):
    shown = {row.what.strip(): row for row in targets.judged(good)}
    assert shown["bare FastAPI gateway: requests/s, model 0 ms"].value == "2000"
    assert shown["added to the model's time, p50 / p99"].value == "2.0 / 13.0 ms"
    assert shown["service: requests/s of one process, model 0 ms"].ratio == "1/10.0"


@pytest.mark.parametrize(("rate", "met"), [(2000 / 12 + 0.1, True), (2000 / 12 - 0.1, False)])
def test_a_twelfth_of_the_bare_gateways_rate_is_demanded(targets, good, rate, met):
    measured = replace(good, turns=[targets.Turn(service=rate, bare=2000)] * 3)
    assert missed(targets, measured) == ([] if met else ["service"])


def test_a_slow_machine_misses_nothing_as_long_as_the_ratio_holds(targets, good):
    measured = replace(
        good,
        turns=[targets.Turn(service=20, bare=200)] * 3,
        service_added=[10 * ms for ms in good.service_added],
        bare_added=[10 * ms for ms in good.bare_added],
    )
    assert missed(targets, measured) == []


def test_one_slow_turn_of_three_does_not_decide(targets, good):
    measured = replace(good, turns=[*good.turns[:2], targets.Turn(service=50, bare=2000)])
    assert missed(targets, measured) == []


@pytest.mark.parametrize(
    ("change", "row"),
    [
        ({"service_added": [21.0] * 95 + [27.0] * 5}, "added to the model's and store's time"),
        ({"service_added": [10.0] * 95 + [79.0] * 5}, "added to the model's and store's time"),
        ({"first_texts": [200.0] * 20}, "first text of a stream beyond the model's"),
        ({"ready_s": [1.2, 3.0, 1.2]}, "cold start to ready"),
        ({"rss_mb": [300.0, 350.0, 305.0]}, "memory of one worker"),
    ],
)
def test_each_target_alone_makes_the_run_fail(targets, good, change, row):
    measured = replace(good, **change)
    assert missed(targets, measured) == [row]
    assert targets.exit_code(targets.judged(measured)) == 1
