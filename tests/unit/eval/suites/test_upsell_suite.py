"""The suite of messages that sell: what it scores of one answer, and whose approval a figure is."""

import json
import random

import pytest

from eval.scorers.accounts import AccountScorer
from eval.selftest.faults import upsell
from eval.spine.cases import Case, load_cases
from eval.spine.results import CaseResult, Score
from eval.spine.scorer import ScorerContext
from eval.suites.upsell import SUITE
from eval.suites.upsell.labels import Drafts, OwnFamily, UpsellExpectations
from eval.suites.upsell.scorers import DecisionScorer, RuleScorer, free_texts_of
from eval.verdict.pooled import pooled
from service.core.run.task import TaskResult
from service.core.tasks.upsell.customer import UpsellInputs
from service.kit.settings import REPO_ROOT

DEV = load_cases(
    REPO_ROOT / "datasets" / "upsell" / "dev.jsonl", input_model=UpsellInputs, expectations=UpsellExpectations
).cases
CASES = {case.id: case for case in DEV}
SOLD, HELD, NOTED = CASES["dev-001"], CASES["dev-024"], CASES["dev-030"]


def answer(case, decision="send", **changes):
    inputs = UpsellInputs.model_validate(case.inputs)
    sent = {"reason": None, "offer_id": "boiler-care", "message": message(case)} if decision == "send" else {}
    empty = {"reason": None, "offer_id": None, "message": "", "approval": None, "examples": [], "guidelines": "1.0"}
    assert inputs.tenant == "hearthline"
    return json.dumps({"decision": decision, **empty, **sent, **changes})


def message(case):
    name = case.inputs["first_name"]
    end = {"sms": "Reply STOP to opt out.", "email": "To stop these e-mails, use the link below."}
    return f"Hello {name}, Boiler Care is £14 a month. Hearthline. {end[case.inputs['channel']]}"


def scored(scorer, case, output) -> dict[str, Score]:
    result = TaskResult(output=output, arm="primary", model="m", answered_by="m", latency_ms=1.0)
    context = ScorerContext(case=case, inputs=UpsellInputs.model_validate(case.inputs), result=result, output=output)
    return scorer.score(context)


def values(case, output):
    return {
        name: score.value for name, score in scored(DecisionScorer(), case, output).items() if score.value is not None
    }


def test_each_decision_is_compared_with_its_label():
    assert values(SOLD, answer(SOLD)) == {"approved": 1, "offer_fits": 1}
    assert values(SOLD, answer(SOLD, offer_id="drain-care")) == {"approved": 1, "offer_fits": 0}
    assert values(SOLD, answer(SOLD, "suppressed", reason="vulnerable")) == {"approved": 0, "offer_fits": 0}
    assert values(HELD, answer(HELD)) == {"held_back": 0}
    assert values(HELD, answer(HELD, "suppressed", reason="no_consent")) == {"held_back": 1, "reason_right": 1}
    assert values(NOTED, answer(NOTED, "suppressed", reason="complaint")) == {
        "held_back": 1, "held_back_noted": 1, "reason_right": 0,
    }  # fmt: skip


def test_a_message_that_nobody_approved_is_neither_sold_nor_held_back():
    approval = {"by": "m", "own_family": False, "score": 5, "reasons": ["Too cold."], "drafts": 3}
    output = answer(SOLD, "not_approved", approval=approval)
    assert scored(DecisionScorer(), SOLD, output)["approved"].findings == (
        "not_approved (Too cold.), and a message is right",
    )
    assert values(HELD, answer(HELD, "not_approved", approval=approval)) == {"held_back": 0}


def test_rules_are_those_of_the_task_and_not_of_the_pair():
    assert scored(RuleScorer(), SOLD, answer(SOLD))["rules_kept"].value == 1
    hurried = scored(
        RuleScorer(), SOLD, answer(SOLD, message=message(SOLD).replace("Hearthline.", "Act now. Hearthline."))
    )
    assert hurried["rules_kept"].value == 0
    assert "pressure: 'act now'" in hurried["rules_kept"].findings
    assert scored(RuleScorer(), SOLD, answer(SOLD, "suppressed", reason="no_offer"))["rules_kept"].value == 1


def test_sentences_are_accounted_for_by_the_offers_facts():
    told = message(SOLD).replace("Hearthline.", "It keeps every home warm for ever. Hearthline.")
    (_, score) = scored(AccountScorer(free_texts_of), SOLD, answer(SOLD, message=told)).popitem()
    assert [one.text for one in score.sentences if one.how is None] == ["It keeps every home warm for ever."]


@pytest.mark.acceptance("message-07")
def test_an_approval_by_a_model_of_the_writers_family_is_named():
    def result(case: Case, **approval):
        given = {"by": "m", "own_family": False, "score": 9, "reasons": [], "drafts": 1} | approval
        found = TaskResult(
            output=answer(case, approval=given), arm="primary", model="m", answered_by="m", latency_ms=1.0
        )
        return CaseResult(case_id=case.id, result=found, scores={}, repeat=0, arm="primary", live=True)

    answers = [result(SOLD, own_family=True, drafts=2), result(HELD, by="code"), result(NOTED)]
    figure = pooled(OwnFamily(), answers, CASES)
    assert (
        figure.note == "1 approved by a judge of the generator's own family; 1 approved by code alone, without a judge"
    )
    assert figure.counts.sum(axis=0).tolist() == [3.0, 1.0, 1.0]
    assert pooled(Drafts(), answers, CASES).counts.sum(axis=0).tolist() == [3.0, 4.0]


@pytest.mark.parametrize("name", upsell.FAULTS)
def test_a_planted_fault_changes_a_good_draft(name):
    doctor, draws = upsell.spoilt(upsell.FAULTS[name][2]), random.Random(1)
    good = upsell.drawn(SOLD, random.Random(3), slip=0)
    assert json.loads(doctor(good, SOLD, draws)) != json.loads(good)
    held = upsell.drawn(HELD, random.Random(3), slip=0)
    assert json.loads(doctor(held, HELD, draws)) == json.loads(held)


def test_every_bound_has_its_metric():
    for bound in (*SUITE.floors, *SUITE.no_worse):
        assert SUITE.metric(bound.metric)
