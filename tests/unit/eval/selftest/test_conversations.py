"""The self-test of conversations, on the parcel service: its gate stops every planted fault, and a weaker one does not."""

from dataclasses import replace

import pytest
from throw_away import ThrowAway

from eval.commands.selftest import selftest
from eval.selftest.conversations import conversation_selftest, has_conversations
from eval.selftest.dialogue_faults import faults_of
from eval.spine.errors import HarnessError
from eval.spine.results import Verdict
from eval.spine.suite import Floor
from eval.suites import load_suite
from service.kit.frame.errors import ConfigurationError
from service.kit.settings import Settings

KINDS = ("forbidden call made", "fact not told")


@pytest.fixture
def settings(tmp_path):
    task = ThrowAway(tmp_path, "parcels")
    yield Settings(root=tmp_path, state_dir=tmp_path / "state")
    task.remove()


def test_the_gate_stops_what_is_planted_and_says_by_what(settings):
    done = conversation_selftest("parcels", settings, kinds=KINDS)
    assert (done.gold, done.problems) == (Verdict.PASS, ())
    found = {(item.kind, item.share): (item.planted, item.verdict) for item in done.tried}
    assert found["forbidden call made", 1.0] == (24, Verdict.FAIL)
    assert found["fact not told", 0.1][1] is not Verdict.PASS
    assert {name for item in done.tried if item.kind == KINDS[0] for name in item.by} == {"not_permitted_proposed"}
    assert done.path.read_text(encoding="utf-8") == done.page


def test_a_gate_that_lets_a_fault_through_counts_as_broken(settings):
    suite = load_suite("parcels")
    weak = replace(suite, floors=suite.floors[:1], slice_floors=())
    done = conversation_selftest("parcels", settings, kinds=KINDS, suite=weak)
    assert done.problems == ("forbidden call made passes in 24 of 48 cases",)
    assert "the gate counts as broken" in done.page


def test_a_fault_that_only_other_metrics_catch_is_a_problem(settings):
    suite = load_suite("parcels")
    floors = (
        Floor(metric="told_right", bound=0.01, reason="it lets nearly everything through, and so never fails here"),
    )
    done = conversation_selftest("parcels", settings, kinds=("fact-not-told",), suite=replace(suite, floors=floors))
    caught = next(item for item in done.tried if item.share == 1.0)
    assert caught.own == ("told_right",)
    assert caught.problem in done.problems
    assert "fact not told is not caught by told_right, only by" in caught.problem


def test_the_assistant_has_more_than_fifteen_faults_of_its_own():
    gated = {floor.metric for floor in load_suite("assistant").floors} | {"left_alone"}
    faults = faults_of("assistant")
    assert len({fault.kind for fault in faults}) == len(faults) > 15
    assert {name for fault in faults for name in fault.targets} <= gated
    assert faults_of("parcels") == ()


def test_an_unknown_kind_is_named(settings):
    with pytest.raises(HarnessError, match="no fault typo; faults: argument-changed"):
        conversation_selftest("parcels", settings, kinds=("typo",))


def test_a_task_says_whether_its_cases_are_conversations(settings):
    assert has_conversations("parcels")
    assert not has_conversations("summarize")


def test_options_for_answers_are_refused_by_name(settings):
    with pytest.raises(ConfigurationError, match="leave --engine, --fresh out"):
        selftest("parcels", engine="scripted", fresh=True)
