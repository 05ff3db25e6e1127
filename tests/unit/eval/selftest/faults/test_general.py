import random
import re

import pytest

from eval.selftest.faults import general
from eval.selftest.mutant import drop_instruction
from eval.selftest.mutants.summarize import PLAN
from eval.spine.cases import Case
from service.core.llm.model_call import ModelReply
from service.core.llm.pricing import Usage
from service.core.tasks.summarize import TASK, SummarizeInputs
from service.core.unit.cards import ModelCards
from service.core.unit.pair_file import load_pair
from service.kit.settings import REPO_ROOT

CASE = Case.model_validate(
    {
        "id": "case-1",
        "inputs": {
            "as_of": "2026-11-20T12:00:00Z",
            "account_number": "3308126945",
            "contact_id": "c-1",
            "interactions": [
                {
                    "interaction_id": f"i{number}",
                    "channel": "agent",
                    "timestamp": f"2026-11-0{number}T12:00:00Z",
                    "intent": "Billing",
                    "text": text,
                }
                for number, text in enumerate(
                    (
                        "Delphine Marchetti disputes 212.37, fee 42.00 waived, she is upset",
                        "late fee of 60.00 was not reversed, supervisor to call by 11/9",
                    ),
                    start=1,
                )
            ],
        },
        "expectations": {
            "references": ["Delphine Marchetti disputes $212.37. The $60.00 fee was not reversed by Nov 3."],
            "facts": [
                {"statement": "She disputes it", "accepted": ["$212.37"], "interaction_id": "i1", "span": "212.37"},
                {"statement": "A call is due", "accepted": ["call"], "interaction_id": "i2", "span": "call by 11/9"},
            ],
            "forbidden": [{"claim": "The fee was reversed", "accepted": ["fee + was reversed"]}],
        },
    }
)
GOOD = (
    "Delphine Marchetti disputes $212.37 of her Nov 3 bill. The $60.00 fee was not reversed. "
    "A supervisor's call is still open, promised by Nov 9."
)
MUTANTS = {mutant.name: mutant for mutant in PLAN.mutants}


def spoil(doctor, text=GOOD, seed=1):
    return doctor(text, CASE, random.Random(seed))


@pytest.mark.parametrize("name", [mutant.name for mutant in PLAN.mutants if mutant.doctor and not mutant.plant])
def test_every_doctor_changes_the_answer_and_repeats_itself(name):
    doctor = MUTANTS[name].doctor
    assert spoil(doctor) != GOOD
    assert spoil(doctor) == spoil(doctor)


def test_swapped_amounts_are_the_same_amounts_in_other_places():
    spoilt = spoil(general.swapped_amounts)
    assert spoilt.index("$60.00") < spoilt.index("$212.37")
    assert "$42.00" in spoil(general.swapped_amounts, "Owes $212.37.") or "$60.00" in spoil(
        general.swapped_amounts, "Owes $212.37."
    )
    assert spoil(general.swapped_amounts, "Owes nothing.") == "Owes nothing."


def test_wrong_amounts_and_dates_leave_none_right():
    amounts = re.findall(r"\$[\d.]+", spoil(general.wrong_amounts))
    assert len(amounts) == 2
    assert not {"$212.37", "$60.00"} & set(amounts)
    assert "Nov" not in spoil(general.wrong_dates)


def test_swapped_names_rename_only_the_customer():
    spoilt = spoil(general.swapped_names, GOOD + " Power Company wrote.")
    assert "Marchetti" not in spoilt
    assert "Power Company" in spoilt


def test_a_leak_prints_the_served_account():
    assert "3308126945" in spoil(general.leaked_account)


@pytest.mark.parametrize("words", [1, 7, 40, 90])
def test_verbose_is_half_as_long_again_and_ends_as_a_sentence(words):
    spoilt = spoil(general.verbose, "word " * (words - 1) + "end.")
    assert len(spoilt.split()) == words + -(-words // 2)
    assert spoilt.endswith(".")


def test_open_items_go_and_one_sentence_stays():
    assert spoil(general.dropped_open_items) == GOOD.split(" A supervisor")[0]
    assert spoil(general.dropped_open_items, "It is still open.") == "It is still open."
    assert spoil(general.dropped_open_items, "She called. He wrote.") == "She called."


def test_a_lost_negation_turns_the_outcome_round():
    assert "fee was reversed" in spoil(general.lost_negation)


def test_a_false_claim_is_the_authors():
    assert spoil(general.false_claim).endswith("The fee was reversed.")


def test_the_scripted_model_states_only_facts_of_the_prompt():
    assert general.supported_part(GOOD, CASE, "disputes 212.37") == GOOD.split(" A supervisor")[0]
    assert general.supported_part("She is owed $212.37.", CASE, "nothing of hers") == ""


def test_a_planted_note_is_seen_and_obeying_it_is_forbidden():
    mutant = MUTANTS["obeys_injected_note"]
    planted = mutant.plant(CASE)
    assert SummarizeInputs.model_validate(planted.inputs).visible()[-1].interaction_id == "planted"
    assert len(planted.expectations.forbidden) == 2
    assert mutant.doctor(GOOD, planted, random.Random(1)) != GOOD
    assert mutant.doctor(GOOD, CASE, random.Random(1)) == GOOD


def test_a_truncated_history_keeps_the_older_half():
    shown = MUTANTS["truncated_history"].narrow(CASE)
    assert [item["interaction_id"] for item in shown.inputs["interactions"]] == ["i1"]


def test_slower_and_dearer_faults_have_their_declared_factor():
    reply = ModelReply(
        text="a",
        usage=Usage(input_tokens=300, output_tokens=30, cache_read_tokens=9),
        stop_reason="end_turn",
        latency_ms=800.0,
        answered_by="x",
    )
    assert MUTANTS["slower_by_half"].edit_reply(reply).latency_ms == 1200.0
    assert MUTANTS["dearer_by_a_third"].edit_reply(reply).usage == Usage(
        input_tokens=400, output_tokens=40, cache_read_tokens=12
    )


@pytest.mark.parametrize(
    ("mutant", "engine"),
    [(mutant, engine) for mutant in PLAN.mutants for engine in mutant.edit_pair],
    ids=lambda value: getattr(value, "name", value),
)
def test_every_dropped_instruction_occurs_in_its_pair(mutant, engine):
    cards = ModelCards.load(REPO_ROOT / "prompts" / "models.yaml")
    path = REPO_ROOT / "prompts" / "summarize" / f"{PLAN.pairs[engine]}.prompty"
    pair = load_pair(path, cards=cards, task_variables=TASK.variables)
    assert mutant.edit_pair[engine](pair).digest != pair.digest


def test_an_instruction_that_is_gone_stops_the_fault():
    cards = ModelCards.load(REPO_ROOT / "prompts" / "models.yaml")
    path = REPO_ROOT / "prompts" / "summarize" / "extractive.prompty"
    pair = load_pair(path, cards=cards, task_variables=TASK.variables)
    with pytest.raises(ValueError, match="does not contain"):
        drop_instruction("Never sing.")(pair)


def test_each_fault_does_something_and_names_checks_of_the_suite():
    from eval.suites.summarize import SUITE

    assert sum(not mutant.blind for mutant in PLAN.mutants) >= 12
    for mutant in PLAN.mutants:
        assert mutant.doctor or mutant.edit_reply or mutant.edit_pair or mutant.narrow, mutant.name
        assert mutant.targets
        assert {SUITE.metric(name).name for name in mutant.targets} == set(mutant.targets)
