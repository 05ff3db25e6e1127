"""A second world, the clinic: its cases prove themselves, and faults that the proofs do not plant are caught, too."""

import asyncio

import pytest
from clinic import planted, sound
from clinic.cases import all_cases
from clinic.world import EPISODE

from eval.dialogue.agents import GoldAgent
from eval.dialogue.judging import proposed_not_permitted, wrongs
from eval.dialogue.proofs import degenerate_scores, prove_cases
from eval.dialogue.record import ConversationRecord

CASES = all_cases()
# What no check sees unless its case names it; docs/guides/building-conversations.md says so.
NOT_SEEN = (planted.tells_two_times, planted.tells_it_denied, planted.asks_for_a_secret)


def faults_found(case, gold):
    """Return the checks that find the run ``gold`` wrong."""
    specs = {spec.name: spec for spec in EPISODE.specs}
    result = asyncio.run(EPISODE.play_with(case, 0, specs, GoldAgent(gold)))
    record = ConversationRecord.model_validate_json(result.output)
    found = [name for name, wrong in wrongs(record, case.expectations).items() if wrong]
    found += ["not_permitted_proposed"] if proposed_not_permitted(record, case.expectations) else []
    return [*found, "unscored"] if record.unscored else found


def runs(change):
    """Return the runs that ``change`` makes of the gold runs, with their cases."""
    changed = [(case, change(case)) for case in CASES]
    return [(case, gold) for case, gold in changed if gold is not None]


def test_the_cases_of_the_clinic_prove_themselves():
    proofs = prove_cases(EPISODE, CASES)
    assert {proof.case_id: proof.problems for proof in proofs if proof.problems} == {}
    assert set(degenerate_scores(proofs).values()) == {0.0}
    assert len(CASES) >= 25


@pytest.mark.parametrize("fault", [fault for fault in planted.FAULTS if fault not in NOT_SEEN])
def test_a_fault_that_the_proofs_do_not_plant_is_caught(fault):
    found = {case.id: faults_found(case, gold) for case, gold in runs(fault)}
    assert found
    assert [case_id for case_id, checks in found.items() if not checks] == []


@pytest.mark.parametrize("fault", NOT_SEEN)
def test_a_limit_that_the_guide_names_is_still_one(fault):
    assert any(not faults_found(case, gold) for case, gold in runs(fault))


@pytest.mark.parametrize("change", sound.SOUND)
def test_a_run_that_is_right_in_another_way_passes(change):
    found = {case.id: faults_found(case, gold) for case, gold in runs(change)}
    assert found
    assert {case_id: checks for case_id, checks in found.items() if checks} == {}
