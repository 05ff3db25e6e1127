"""The proofs of conversation cases, on the cases of the parcel service."""

import importlib

import pytest
from structlog.testing import capture_logs

from eval.dialogue import proofs as proving
from eval.dialogue.mutations import Mutation
from eval.dialogue.proofs import degenerate_scores, prove_cases
from eval.dialogue.scenario import ConversationScenario, DialogueExpectations, GoldReply
from eval.spine.cases import Case, load_cases


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


def confirming(**more):
    """A case whose gold run tells a day in two questions and ends."""
    asks = {"action": "clarify", "asks": ["confirmation"]}
    gold = [[{"say": f"It comes on Monday. {question}?", **asks}] for question in ("Shall I note it", "Are you sure")]
    expected = {"told": [{"statement": "the day", "accepted": ["monday"], "from_policy": True}], **more}
    return Case(
        id="case-1",
        inputs={"world": {}, "customer": {"goal": "learn it", "opens": ["When does it come?"]}},
        expectations=DialogueExpectations.model_validate({"gold": [*gold, [{"say": "It is noted."}]], **expected}),
    )


def test_a_fact_that_questions_leave_out_is_missed_as_such(episode):
    (proof,) = prove_cases(episode, [confirming()])
    assert "fact not told" not in proof.missed
    assert proof.caught["fact not told", "told_right"] == 1
    assert proof.caught["fact not told", "ending_right"] == 0


def test_a_fault_that_nobody_could_judge_is_caught_by_no_score(episode, monkeypatch):
    unclear = (GoldReply(say="Hm.", action="clarify"),)
    monkeypatch.setattr(proving, "mutations_of", lambda *_: [Mutation(kind="unclear", what="all", gold=(unclear,))])
    (proof,) = prove_cases(episode, [confirming()])
    assert dict(proof.caught) == {("unclear", "unscored"): 1}


def test_every_reply_and_note_that_no_tool_filled_is_shown(episode):
    case = confirming()
    first = (GoldReply(say="It is {find_parcel.due}. Monday?", action="clarify", asks=("confirmation",)),)
    note = {"reason": "asked for a person", "context": "It is {find_parcel.number}, monday."}
    last = (GoldReply(say="Monday.", action="handover", handover=note),)
    expected = case.expectations.model_copy(update={"gold": (first, last)})
    (proof,) = prove_cases(episode, [case.model_copy(update={"expectations": expected})])
    said = "the gold run says what no tool returned: "
    assert [text.removeprefix(said) for text in proof.problems if text.startswith(said)] == [
        "It is {find_parcel.due}. Monday?",
        "It is {find_parcel.number}, monday.",
    ]
