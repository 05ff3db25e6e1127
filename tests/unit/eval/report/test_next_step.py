"""What to type after an evaluation, in each situation that it can end in."""

import shutil
from dataclasses import replace

import pytest
from tiny_evaluation import bare_evaluation, bare_gate, bare_pair, bare_suite

from eval.report.next_step import next_steps, step_lines
from eval.spine.results import Check, InterimLook, Verdict
from eval.spine.suite import Behaviour, MetricSpec
from figures.metric import Metric, Unit
from service.core.release.unseen import UnseenPolicy

SUITE = bare_suite(
    gate_dataset="gate", metrics=(MetricSpec(name="grounded", kind="rate", score="grounded", unit=Unit.RATE),)
)
TAKES = UnseenPolicy(stage="local", takes=True)
PASS, FAIL, UNDECIDED = Verdict.PASS, Verdict.FAIL, Verdict.INCONCLUSIVE


@pytest.fixture(autouse=True)
def on_the_path(monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda name: f"/usr/bin/{name}")


def metric(value):
    return Metric(name="grounded", unit=Unit.RATE, higher_is_better=True, value=value, low=value, high=value, n=9)


def check(verdict, kind="floor"):
    return Check(kind=kind, metric=metric(0.5), bound=0.8, verdict=verdict, reason="why", explanation="how")


def pair(name, *checks, value=0.5, production=False, looks=1, unseen=(), role="candidate"):
    gate = bare_gate(name, checks=checks, look=InterimLook(number=looks, planned=looks), unseen=unseen)
    return bare_pair(gate, is_production=production, metrics={"grounded": metric(value)}, role=role)


def evaluation(*pairs, dataset="gate", task="summarize", environment="local"):
    return bare_evaluation(*pairs, task=task, environment=environment, dataset_name=dataset, case_count=9)


def step(*pairs, suite=SUITE, policy=TAKES, named=(), has_dev=True, **where):
    return "\n".join(
        line.partition(": ")[2]
        for line in step_lines(next_steps(evaluation(*pairs, **where), suite, policy, named=named, has_dev=has_dev))
    )


def test_a_pair_that_passed_on_the_gates_cases_is_to_be_released():
    assert step(pair("a", check(PASS))) == 'release it: omni promote a --why "why, in one sentence"'
    assert step(pair("a", check(PASS)), task="scorecard").endswith("--task scorecard")


@pytest.mark.parametrize("dataset", ["dev", "gate[12]"])
def test_a_pair_that_passed_on_other_cases_is_to_meet_the_gates(dataset):
    assert step(pair("a", check(PASS)), dataset=dataset).endswith(": omni eval --pairs a")


def test_of_several_that_passed_the_best_is_to_be_released():
    assert "omni promote b" in step(pair("a", check(PASS), value=0.6), pair("b", check(PASS), value=0.7))


def test_where_behaviour_was_not_measured_it_comes_first_and_the_release_after_it():
    suite = replace(SUITE, behaviour=Behaviour(dataset="c", attacks="a", plant=lambda inputs, text: {}, floors=()))
    missing = pair("a", check(PASS))
    behaviour, release = step(missing, suite=suite, environment="aws").splitlines()
    assert behaviour.endswith("and aws requires: omni gate a")
    assert release.startswith("release it: omni promote a ")
    assert step(missing, suite=suite).splitlines() == [
        "judge its behaviour too, which this run did not measure: omni gate a",
        'release it: omni promote a --why "why, in one sentence"',
    ]
    assert "omni promote a" in step(pair("a", check(PASS, "behaviour")), suite=suite, environment="aws")


def test_after_a_fail_the_pair_that_is_nearest_to_pass_is_to_be_improved():
    far, near = pair("far", check(FAIL), check(FAIL)), pair("near", check(FAIL), check(PASS))
    said = step(far, near)
    assert said.startswith("read its worst cases in the report, improve prompts/summarize/near.prompty")
    assert said.endswith("omni eval --pairs near --dataset dev")


def test_without_a_development_set_the_gates_cases_are_tried_again():
    for verdict in (FAIL, UNDECIDED):
        assert step(pair("near", check(verdict)), has_dev=False).endswith("omni eval --pairs near")


def test_what_is_improved_of_a_pair_that_is_code_is_the_code():
    made = replace(evaluation(pair("rules", check(FAIL))), code_models=(pair("rules").model,))
    (found,) = next_steps(made, SUITE, TAKES)
    assert f"improve the code of {pair('rules').model} in service/core/tasks/summarize, and try it" in found.do


def test_a_pair_that_only_misbehaves_is_tried_by_its_behaviour():
    assert step(pair("a", check(PASS), check(FAIL, "behaviour"))).endswith("omni behave a")
    assert step(pair("a", check(UNDECIDED, "behaviour"))).endswith("omni gate a")


def test_an_undecided_pair_gets_more_evidence_where_that_exists():
    assert step(pair("a", check(UNDECIDED)), dataset="dev").endswith("omni eval --pairs a")
    assert step(pair("a", check(UNDECIDED), looks=4)).endswith("omni eval --pairs a --budget 6")
    assert step(pair("a", check(UNDECIDED))).endswith("omni eval --pairs a --dataset dev")


def test_a_demo_is_never_to_be_released():
    said = step(pair("a", check(PASS), role="demo"))
    assert said == "that was a demo; evaluate what is no demo: omni eval"
    assert "omni promote b" in step(pair("a", check(PASS), value=0.9, role="demo"), pair("b", check(PASS)))


def test_with_production_alone_it_is_to_be_served_or_looked_after():
    assert step(pair("a", check(PASS), production=True)).endswith(": omni serve")
    assert step(pair("a", check(FAIL), production=True)).endswith(": omni history")


def test_the_step_is_about_what_was_asked_for():
    assert "omni promote a" in step(pair("a", check(PASS)), pair("b", check(PASS), value=0.9), named=("a",))


def test_outside_the_virtual_environment_the_program_is_named_by_its_path(monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda name: None)
    assert "/omni promote a" in step(pair("a", check(PASS)))


def test_where_the_stage_refuses_unseen_kinds_a_judge_comes_before_the_release():
    passed = pair("a", check(PASS), unseen=("negation",))
    refusing = UnseenPolicy(stage="prod", takes=False)
    said = (
        "have a licensed judge look, as no judge model looked at negation, and stage prod refuses that: omni calibrate"
    )
    assert step(passed, policy=refusing) == said
    assert "omni promote a" in step(passed)
    assert "omni promote a" in step(pair("a", check(PASS)), policy=refusing)
