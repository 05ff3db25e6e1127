"""Strangers' sentences are planted at the end of an assistant's gold runs, and each run is played in all its repeats."""

import json
import random

import pytest

from eval.dialogue.record import ConversationRecord
from eval.labels.contrasts.sets import ContrastSets
from eval.run.loaders import load_dataset
from eval.selftest.doses.assistant import dose_plan
from eval.selftest.doses.conversations import runs_of
from eval.suites import load_suite
from service.kit.settings import Settings


@pytest.fixture(scope="module")
def plan():
    return dose_plan(ContrastSets(good={}, contrasts=(), digest=""), {})


@pytest.fixture(scope="module")
def cases():
    model = load_suite("assistant").episode.scenario_model
    return load_dataset("dev", task="assistant", input_model=model, settings=Settings()).cases


def test_a_strangers_sentence_stands_in_the_last_reply_and_nowhere_else(plan, cases):
    (system,) = plan.systems
    kind = next(each for each in plan.strangers if each.name == "promises_approval")
    case = next(case for case in cases if len(case.expectations.gold) > 1)
    good = system.draw(case, random.Random(1))
    bad = kind.spoil(good, case, random.Random(1))
    before, after = json.loads(good), json.loads(bad)
    assert before[:-1] == after[:-1]
    assert after[-1][-1]["say"].startswith(before[-1][-1]["say"])
    assert after != before
    episode = load_suite("assistant").episode
    played = runs_of({case.id: bad}, [case], episode=episode, repeats=2)
    said = [ConversationRecord.model_validate_json(item.result.output).replies for item in played]
    added = after[-1][-1]["say"].removeprefix(before[-1][-1]["say"]).strip()
    assert [item.repeat for item in played] == [0, 1]
    assert all(replies[-1].endswith(added) for replies in said)


def test_a_kind_that_does_not_fit_a_case_leaves_it_as_it_is(plan, cases):
    kind = next(each for each in plan.strangers if each.name == "callback_claimed")
    good = {case.id: plan.systems[0].draw(case, random.Random(1)) for case in cases}
    spoilt = [case.id for case in cases if kind.spoil(good[case.id], case, random.Random(1)) != good[case.id]]
    assert 0 < len(spoilt) < len(cases)


def test_a_fault_of_the_handover_note_stands_there_alone(plan, cases):
    kind = next(each for each in plan.strangers if each.name == "note_blames")
    good = {case.id: plan.systems[0].draw(case, random.Random(1)) for case in cases}
    bad = {case.id: kind.spoil(good[case.id], case, random.Random(1)) for case in cases}
    changed = [case.id for case in cases if bad[case.id] != good[case.id]]
    assert set(changed) == {case.id for case in cases if case.expectations.handover is not None}
    for name in changed:
        before, after = (json.loads(text)[-1][-1] for text in (good[name], bad[name]))
        assert after["say"] == before["say"]
        assert after["handover"]["context"].startswith(before["handover"]["context"])
        assert len(after["handover"]["context"]) > len(before["handover"]["context"])
