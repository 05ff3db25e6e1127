"""What an author of planted faults gets wrong is named: the fault, its file and line, and what was meant."""

import sys
from dataclasses import replace

import pytest

from eval.selftest.mutant import Mutant, MutantPlan
from eval.selftest.mutants import load_plan
from eval.selftest.trial import _planting
from eval.spine.errors import RunAborted
from eval.suites import load_suite
from service.kit.frame.errors import ConfigurationError

SUITE = load_suite("summarize")
FAULT = Mutant(name="asleep", does="nothing is urgent", targets=("coverage",))


def plan(*mutants):
    return MutantPlan(mutants=mutants, pairs={}, good=lambda text, *_: text, habits=(), lost="", shown=lambda case: ())


@pytest.mark.parametrize("task", ["summarize", "scorecard", "upsell"])
def test_every_plan_targets_metrics_of_its_suite(task):
    load_plan(task).check_targets(load_suite(task))


@pytest.mark.parametrize(
    ("targets", "said"),
    [
        (
            ("groundd",),
            "fault 'asleep' of task 'summarize' targets 'groundd', which is no metric of the suite; did you",
        ),
        ((), "fault 'asleep' of task 'summarize' names no target: say in `targets` which metrics must show it"),
    ],
)
def test_a_fault_that_nothing_could_detect_is_refused(targets, said):
    with pytest.raises(ConfigurationError, match=said):
        plan(replace(FAULT, targets=targets)).check_targets(SUITE)


def test_a_judges_score_may_be_a_target():
    plan(replace(FAULT, targets=(SUITE.judges[0].score,))).check_targets(SUITE)


@pytest.mark.parametrize(
    ("raised", "said"),
    [
        (
            ValueError("pair 'x' does not contain 'y'"),
            r"ValueError: pair 'x' does not contain 'y' \(raised at tests/unit",
        ),
        (AttributeError("no such field"), r"AttributeError: no such field \(raised at tests/unit/eval/selftest/"),
        (RunAborted("case 'c': it broke"), r"case 'c': it broke$"),
        (ConfigurationError("no part 'judge'"), "^no part 'judge'$"),
    ],
)
def test_a_fault_that_raises_is_named(raised, said):
    with pytest.raises(ConfigurationError, match=said) as told, _planting(FAULT):
        raise raised
    assert isinstance(raised, ConfigurationError) or str(told.value).startswith("fault 'asleep' cannot be planted: ")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("PLAN = MutantPlan()", r"broken.py cannot be read: NameError: .* \(raised at \S+/broken.py:1\)"),
        ("", r"broken.py must define PLAN, a MutantPlan"),
    ],
)
def test_a_plan_that_cannot_be_read_is_named_with_its_line(tmp_path, monkeypatch, text, said):
    (tmp_path / "broken.py").write_text(text, encoding="utf-8")
    monkeypatch.setattr("eval.selftest.mutants.__path__", [str(tmp_path)])
    monkeypatch.delitem(sys.modules, "eval.selftest.mutants.broken", raising=False)
    with pytest.raises(ConfigurationError, match=said):
        load_plan("broken")
