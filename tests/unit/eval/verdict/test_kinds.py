"""Every kind of metric is registered under its own name, and a suite cannot name one that does not exist."""

import pytest

from eval.spine.suite import MetricSpec
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


def test_cost_and_latency_have_their_own_axes_in_a_sweep():
    axes = {name: kind.axis for name, kind in KINDS.items() if kind.axis != "quality"}
    assert axes == {"cost": "cost", "latency": "latency"}


def test_kinds_with_a_score_per_case_are_listed_by_case():
    assert {name for name, kind in KINDS.items() if kind.scores_cases} == {"mean", "rate", "never"}
