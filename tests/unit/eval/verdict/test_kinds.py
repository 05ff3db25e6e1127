"""Every kind of metric is registered under its own name, and a suite cannot name one that does not exist."""

import pytest

from eval.suite import MetricSpec
from eval.suites import load_suite
from eval.verdict.kinds import KINDS, kind_of
from figures.metric import Unit


def test_kinds_are_registered_under_their_names():
    assert all(kind.name == name for name, kind in KINDS.items())


@pytest.mark.parametrize("task", ["summarize", "scorecard"])
def test_every_metric_of_a_suite_is_of_a_known_kind(task):
    assert all(kind_of(spec) for spec in load_suite(task).metrics)


def test_an_unknown_kind_is_refused_with_those_that_exist():
    spec = MetricSpec(name="charm", kind="median", unit=Unit.RATE)
    with pytest.raises(KeyError, match="'charm' is of kind 'median'; known: mean, rate"):
        kind_of(spec)


def test_a_sweep_draws_cost_and_latency_apart_from_quality():
    axes = {name: kind.axis for name, kind in KINDS.items() if kind.axis != "quality"}
    assert axes == {"cost": "cost", "latency": "latency"}


def test_reports_list_case_by_case_what_a_scorer_gives():
    assert {name for name, kind in KINDS.items() if kind.scores_cases} == {"mean", "rate"}
