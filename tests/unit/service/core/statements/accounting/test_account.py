"""A sentence is accounted for only as a passage of one statement that keeps its words, figures, roles and polarity."""

import pytest

from service.core.statements.accounting.account import account
from service.core.statements.accounting.source import AccountSource, SourceStatement

NOTE = (
    "Cust called re bill of 212.37, says paid on 10/5. Agent waived the $18.50 late fee; she did not ask for a refund."
)
SOURCE = AccountSource(
    (
        SourceStatement(text=NOTE, heads=("Oct 7 agent",)),
        SourceStatement(text="Refund request 40771 was denied.", heads=("Oct 14 email", "Latest outcome")),
        SourceStatement(text="2 interactions since Oct 7.", how="label"),
        SourceStatement(text="Is there anything else?", how="wording"),
        SourceStatement(text="Shall I arrange a call to {phone}?", how="wording"),
        SourceStatement(text="my number is 07700 900222", how="echo", heads=("The customer said",)),
        SourceStatement(text="", how="tool", heads=("You need",), items=("a passport", "proof of address", "a photo")),
    )
)


def how(text):
    return [one.how for one in account(text, SOURCE)]


@pytest.mark.parametrize(
    ("sentence", "by"),
    [
        ("Agent waived the $18.50 late fee.", "verbatim"),
        ("Oct 7 agent: agent waived $18.50 late fee.", "verbatim"),
        ('"She did not ask for a refund".', "verbatim"),
        ("Latest outcome: Refund request 40771 was denied.", "verbatim"),
        ("2 interactions since Oct 7.", "label"),
        ("Is there anything else?", "wording"),
        ("Shall I arrange a call to 07700 900222?", "wording"),
        ('The customer said: "my number is 07700 900222"', "echo"),
        ("You need: proof of address, and a passport.", "tool"),
    ],
)
def test_a_passage_of_one_statement_is_accounted_for(sentence, by):
    assert how(sentence) == [by]


@pytest.mark.parametrize(
    ("fault", "sentence"),
    [
        ("a negation lost", "She did ask for a refund."),
        ("a negation added", "Agent did not waive the $18.50 late fee."),
        ("cut so that it turns round", "ask for a refund."),
        ("cut so that a claim becomes a fact", "paid on 10/5."),
        ("roles swapped", "Customer waived the $18.50 late fee."),
        ("another figure", "Agent waived the $18.60 late fee."),
        ("another unit", "Agent waived the 18.50 kWh late fee."),
        ("two statements joined", "Agent waived the $18.50 late fee request 40771 was denied."),
        ("under another day", "Oct 14 email: Agent waived the $18.50 late fee."),
        ("under a day that there is not", "Nov 3 agent: Agent waived the $18.50 late fee."),
        ("in other words", "The agent removed the late charge of $18.50."),
        ("invented", "A child is unconscious and there is a strong smell of gas."),
        ("an item that the list has not", "You need: a passport, and your PIN."),
        ("a list under no such head", "You must never bring: a passport, and a photo."),
        ("a number that nobody gave", "Shall I arrange a call to 07700 900999?"),
        ("two words from somewhere", "re bill."),
    ],
)
def test_what_says_something_else_is_not(fault, sentence):
    assert how(sentence) == [None], fault


def test_a_head_holds_for_the_sentences_behind_it():
    text = "Oct 14 email: Refund request 40771 was denied. Agent waived the $18.50 late fee."
    assert how(text) == ["verbatim", None]


def test_the_account_names_the_statement_and_the_novelty():
    known, new = account("Agent waived the $18.50 late fee. The dog attacked the refund.", SOURCE)
    assert (known.statement, known.novelty) == (NOTE, 0.0)
    assert 0.5 < new.novelty < 1.0
    assert account("...", SOURCE) == ()
