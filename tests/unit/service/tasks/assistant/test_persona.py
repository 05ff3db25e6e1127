"""The bank words how its assistant speaks of itself, but not whether it says that it is an AI."""

import json
import sys

import pytest
from pydantic import ValidationError

from service.dialogue.task import DialogueSoFar
from service.dialogue.turn import DialogueInputs
from service.tasks.assistant import TASK
from service.tasks.assistant.persona import Persona, persona
from service.tasks.assistant.rules import rules

OTHER = {"disclosure": "You are talking to the bank's chatbot.", "greeting": "Good day, and welcome."}


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
