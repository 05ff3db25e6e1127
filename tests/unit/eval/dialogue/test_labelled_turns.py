"""The scripted customer understands assistants' turns that were labelled by hand with what they ask for.

Sets ``dev`` and ``test`` were written and labelled before anybody looked at how the customer hears; ``dev`` was looked at while
the customer was mended, ``test`` measured once after that. ``late`` was written and measured once after the mend.
"""

import json
from pathlib import Path

import pytest

from eval.dialogue.customer import Over, ScriptedCustomer
from eval.dialogue.scenario import CustomerScript
from service.core.run.dialogue.turn import DialogueReply

TURNS = [
    json.loads(line)
    for line in Path(__file__).with_name("labelled_turns.jsonl").read_text(encoding="utf-8").splitlines()
]
# What the customers know, by script, with the forms that a case's author would write.
ASKED_BY: dict[str, dict[str, list[str]]] = {
    "banking": {
        "card": ["last four", "card number", "which card"],
        "amount": ["amount", "how much"],
        "payee": ["payee", "recipient", "who should", "to whom"],
        "account": ["account number", "which account"],
        "date": ["when", "which day", "what date"],
        "birthday": ["date of birth", "born", "birthday"],
        "postcode": ["postcode"],
        "reason": ["reason", "what the payment is for"],
    },
    "parcels": {
        "number": ["tracking number", "parcel number"],
        "address": ["address", "where to"],
        "postcode": ["postcode"],
        "day": ["which day", "what day", "when"],
        "name": ["name"],
    },
    "energy": {
        "reading": ["reading", "meter show*", "meter say*"],
        "meter": ["meter number", "serial number"],
        "account": ["account number", "customer number"],
        "postcode": ["postcode"],
        "move_date": ["moving", "move out", "move in"],
        "tariff": ["tariff"],
    },
    "telecom": {
        "phone": ["phone number", "mobile number"],
        "pin": ["pin"],
        "lights": ["light*"],
        "restarted": ["restart*", "reboot*"],
        "since": ["since when", "how long", "when did"],
        "plan": ["plan", "package"],
        "device": ["device", "which phone", "model"],
    },
}
ACCEPTED = {"contradiction": ("asked back",), "unknown": ("asked back", "does not know"), "nothing": ("nothing",)}


def heard(turn):
    """Return the names of what the customer answered, or what else they made of the turn."""
    knows = {name: {"says": [f"<{name}>"], "asked_by": forms} for name, forms in ASKED_BY[turn["script"]].items()}
    customer = ScriptedCustomer(
        CustomerScript.model_validate({"goal": "get help", "opens": ["Hello."], "knows": knows}), "case", 0
    )
    customer.opening()
    said = customer.hears(DialogueReply(reply=turn["reply"], action=turn["action"], asks=tuple(turn["asks"])))
    if isinstance(said, Over):
        return "nothing" if said.ending in ("answered", "closed") else said.ending
    names = sorted(name for name in (*knows, "confirmation") if f"<{name}>" in said or _confirms(name, customer))
    return names or ("asked back" if said.endswith("?") else "does not know")


def _confirms(name, customer):
    return name == "confirmation" and customer.confirms


def understood(turn):
    label = turn["label"]
    return heard(turn) == label if isinstance(label, list) else heard(turn) in ACCEPTED[label]


@pytest.mark.parametrize("name", ["dev", "test", "late"])
def test_the_customer_understands_at_least_97_percent_of_labelled_turns(name):
    turns = [turn for turn in TURNS if turn["set"] == name]
    asking = [turn for turn in turns if turn["label"] != "nothing"]  # the others end the conversation by their action
    for some in (turns, asking):
        missed = {turn["id"]: (turn["label"], heard(turn)) for turn in some if not understood(turn)}
        assert len(missed) <= 0.03 * len(some), missed


def test_the_labelled_turns_are_of_many_kinds():
    labels = [turn["label"] for turn in TURNS]
    assert len(TURNS) >= 160
    assert labels.count("contradiction") >= 16
    assert labels.count(["confirmation"]) >= 40
    assert sum(isinstance(label, list) and len(label) > 1 for label in labels) >= 25
    assert sum(not turn["asks"] for turn in TURNS) >= 60
