"""The proofs of conversation cases, on the cases of the parcel service."""

import importlib

import pytest

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
