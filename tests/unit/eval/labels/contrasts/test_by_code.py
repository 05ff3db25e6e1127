"""Edits by code: each class has rules that change one statement, and nothing true is called invented."""

import pytest

from eval.labels.contrasts.by_code import RIGHT, edits_by_code
from eval.spine.judge_spec import HARM_CLASSES


def edited(text, harm_class, *, source="", seed="s", count=1):
    found = edits_by_code([("c", text)], {"c": source}, seed=seed, wanted={harm_class: count})
    return [edit.text for edit in found]


@pytest.mark.parametrize(
    ("harm_class", "good", "wrong"),
    [
        ("reversal", "The claim was approved.", {"The claim was not approved.", "The claim was denied."}),
        ("reversal", "Nothing was found, and no fee is due.", set()),
        ("roles", "She paid the bill.", {"The agent paid the bill."}),
        ("roles", "On May 3 an agent told her so.", {"On May 3 the customer told her so."}),
        ("promise", "Billing will send a letter.", {"Billing sent a letter."}),
        ("promise", "The crew is to come on Monday.", {"The crew came on Monday."}),
        ("promise", "He says the meter is wrong.", {"It is established that the meter is wrong."}),
        ("promise", "Billing will not send a letter.", set()),
        ("omission", "The hold ends unless she pays.", {"The hold ends."}),
        ("omission", "It is due by November 3.", {"It is due no earlier than November 3."}),
        ("omission", "It takes up to 15 days.", {"It takes at least 15 days."}),
        (RIGHT, "It is due by November 3.", {"It is due by Nov 3."}),
    ],
)
def test_a_rule_changes_one_statement(harm_class, good, wrong):
    found = {text for number in range(8) for text in edited(good, harm_class, seed=str(number))}
    assert found == wrong


def test_an_invention_is_not_in_the_source():
    good = "The bill is paid."
    everything = "supervis team lead back office technician retention engineer account manager key acc claim " * 2
    found = edited(good, "invention", source=everything + "because", count=3)
    assert all(text.startswith("The bill is paid") and text != good for text in found)
    assert not any("supervisor" in text.lower() for text in found)


def test_edits_are_drawn_from_the_seed_and_told_apart():
    answers = [
        (f"c{number}", f"She paid ${number}. The claim was approved on May {number}.") for number in range(1, 29)
    ]
    sources = dict.fromkeys((name for name, _ in answers), "")
    wanted = dict.fromkeys(HARM_CLASSES, 5)
    one = edits_by_code(answers, sources, seed="1", wanted=wanted)
    assert one == edits_by_code(answers, sources, seed="1", wanted=wanted)
    other = edits_by_code(answers, sources, seed="2", wanted=wanted, besides={edit.text for edit in one}, held=True)
    assert not {edit.text for edit in one} & {edit.text for edit in other}
    assert len({edit.id for edit in (*one, *other)}) == len(one) + len(other)
    assert all(edit.good.count(edit.before) == 1 and edit.text != edit.good for edit in one)
