"""The proofs of conversation cases, on the cases of the parcel service."""

import importlib

import pytest
from structlog.testing import capture_logs

from eval.cases import load_cases
from eval.dialogue.proofs import degenerate_scores, prove_cases
from eval.dialogue.scenario import ConversationScenario, DialogueExpectations


@pytest.fixture
def episode(parcels):
    return importlib.import_module("eval.suites.parcels").EPISODE


@pytest.fixture
def cases(parcels):
    path = parcels / "datasets" / "parcels" / "dev.jsonl"
    return load_cases(path, input_model=ConversationScenario, expectations=DialogueExpectations).cases


def test_the_gold_runs_pass_and_every_planted_fault_and_useless_agent_fails(episode, cases):
    proofs = prove_cases(episode, cases)
    assert {proof.case_id: proof.problems for proof in proofs if proof.problems} == {}
    assert set(degenerate_scores(proofs).values()) == {0.0}


PLANS = {
    "faults": [{"tool": "find_parcel", "nth": 9, "kind": "error"}],
    "corrects": {"fact": "address", "says": ["No, elsewhere."], "then": {"says": ["Elsewhere."]}},
    "interrupts": {"at": 7, "says": ["Are you a robot?"]},
    "then": ["And how long is it kept?"],
}


@pytest.mark.parametrize(
    ("name", "what"),
    [
        ("faults", "call 9 of find_parcel, which goes wrong (error)"),
        ("corrects", "the correction of 'address'"),
        ("interrupts", "the interruption at message 7"),
    ],
)
def test_a_plan_that_the_gold_run_never_meets_is_a_problem(episode, cases, name, what):
    case = next(case for case in cases if case.id.startswith("tracking"))
    inputs = {**case.inputs, "customer": dict(case.inputs["customer"])}
    (inputs if name == "faults" else inputs["customer"])[name] = PLANS[name]
    (proof,) = prove_cases(episode, [case.model_copy(update={"inputs": inputs})])
    assert proof.problems == [f"the gold run never meets {what}: it ends before, or the plan is wrong"]


def test_a_second_request_is_met_by_every_run_that_goes_on(episode, cases):
    case = next(case for case in cases if case.id.startswith("person"))  # ends in a handover at once
    inputs = {**case.inputs, "customer": {**case.inputs["customer"], "then": PLANS["then"]}}
    (proof,) = prove_cases(episode, [case.model_copy(update={"inputs": inputs})])
    assert proof.problems == ["the gold run never meets the second request: it ends before, or the plan is wrong"]


def test_uses_of_tools_stand_in_the_record_of_a_played_conversation_and_not_in_the_log(episode, cases):
    with capture_logs() as logged:
        prove_cases(episode, cases[:1])
    assert logged == []
