"""The bank words how its assistant speaks of itself, but not whether it says that it is an AI."""

import json
import sys
from datetime import UTC, datetime

import pytest
from pydantic import ValidationError

from service.core.run.dialogue.task import DialogueSoFar
from service.core.run.dialogue.turn import DialogueInputs, Spoken
from service.core.tasks.assistant import TASK
from service.core.tasks.assistant.bank import Bank
from service.core.tasks.assistant.knowledge import bank_knowledge
from service.core.tasks.assistant.persona import Persona, discloses, in_turn, persona
from service.core.tasks.assistant.rules import rules
from service.core.tasks.assistant.tools import METHODS
from service.core.unit.question import ToolTurn

BANK = Bank(knowledge=bank_knowledge(), records={}, clock=lambda: datetime(2026, 11, 24, 10, 30, tzinfo=UTC))
OTHER = {"disclosure": "You are talking to the bank's chatbot.", "greeting": "Good day, and welcome."}


@pytest.mark.acceptance("words-03")
def test_the_wording_may_change_and_must_disclose(monkeypatch):
    other = Persona.model_validate(persona().model_dump() | OTHER)
    for module in (TASK.__module__, rules.__module__):
        monkeypatch.setattr(sys.modules[module], "persona", lambda: other)
    assert TASK.greeting() == f"{OTHER['greeting']} {OTHER['disclosure']} How can I assist you today?"
    first = DialogueInputs(conversation_id="conv-1", message="I want to open an account")
    assert OTHER["disclosure"] in json.loads(rules(DialogueSoFar(inputs=first)))["reply"]
    for name in ("disclosure", "about_itself"):
        with pytest.raises(ValidationError, match="talks to an AI, a bot or a machine"):
            Persona.model_validate(persona().model_dump() | {name: "I'm Sarah from the bank."})


@pytest.mark.acceptance("words-08")
def test_wordings_take_turns_and_are_the_same_for_the_same_conversation():
    said = persona()
    counts = [len(said.acknowledgments), len(said.transitions), len(said.clarifications), len(said.closings)]
    assert counts == [5, 4, 4, 4]

    def heard(conversation, turns):
        history, told = (), []
        for _ in range(turns):
            turn = DialogueInputs(conversation_id=conversation, message="Hm", history=history)
            told.append(in_turn(said.closings, turn))
            history += (Spoken(by="customer", text="Hm"), Spoken(by="assistant", text=told[-1]))
        return told

    assert sorted(heard("conv-1", 4)) == sorted(said.closings)
    assert heard("conv-1", 6) == heard("conv-1", 6)
    assert {heard(f"conv-{number}", 1)[0] for number in range(40)} == set(said.closings)


@pytest.mark.acceptance("words-07")
def test_every_reason_has_its_words_and_none_speaks_of_trouble():
    texts = persona().handovers
    assert len(set(texts.values())) == 7
    assert texts["technical_issues"] == (
        "I want to make sure I give you accurate information. Let me transfer you to a specialist."
    )
    fewer = {reason: text for reason, text in texts.items() if reason != "sensitive_topic"}
    with pytest.raises(ValidationError, match="the words for sensitive_topic are missing"):
        Persona.model_validate(persona().model_dump() | {"handovers": fewer})


@pytest.mark.acceptance("words-08")
def test_replies_hold_an_acknowledgment_a_transition_and_a_closing():
    def reply(message, turns=()):
        inputs = DialogueInputs(
            conversation_id="conv-1", message=message, history=(Spoken(by="assistant", text=persona().disclosure),)
        )
        said = rules(DialogueSoFar(inputs=inputs, turns=turns, may_use_tools=True))
        return said if turns or not isinstance(said, str) else json.loads(said)["reply"]

    assert reply("I want to open an account").startswith(persona().acknowledgments)
    asked = reply("Umm flibber")
    assert asked.endswith(persona().clarifications)
    uses = reply("How much is the premium card?").uses
    contents = tuple(json.dumps(METHODS[use.tool](BANK, **use.arguments)) for use in uses)
    told = json.loads(reply("How much is the premium card?", (ToolTurn(text="", uses=uses, contents=contents),)))[
        "reply"
    ]
    assert told.startswith(persona().transitions)
    assert told.endswith(persona().closings)


def test_a_cash_machine_is_no_disclosure():
    assert discloses("You are talking to a machine.")
    assert not discloses("Activate it at any cash machine.")
