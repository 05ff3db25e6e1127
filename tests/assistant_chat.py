"""A customer who chats with the assistant's rules, over a bank of its own at a set time."""

import json
from datetime import UTC, datetime

from service.core.run.dialogue.task import DialogueSoFar
from service.core.run.dialogue.turn import DialogueInputs, Spoken
from service.core.tasks.assistant.bank import Bank
from service.core.tasks.assistant.knowledge import bank_knowledge
from service.core.tasks.assistant.reply import AssistantReply
from service.core.tasks.assistant.rules import rules
from service.core.tasks.assistant.tools import METHODS
from service.core.tasks.assistant.validation.guard import reply_findings
from service.core.tasks.assistant.validation.seen import SeenTurn
from service.core.tools.port import ToolError
from service.core.unit.question import ToolTurn

OPEN, CLOSED = datetime(2026, 11, 24, 10, 30, tzinfo=UTC), datetime(2026, 11, 24, 20, 30, tzinfo=UTC)


class Chat:
    """Talks to ``model``; ``broken`` tools fail, ``planted`` fields replace those of an answer."""

    def __init__(self, *, at=OPEN, broken=(), planted=None, session=None, model=rules):
        self.model = model
        self.records, self.at, self.broken, self.planted = {"queue": {"waiting": 2}}, at, broken, planted or {}
        self.history, self.session, self.uses = [], session or {}, []

    def __call__(self, message):
        inputs = DialogueInputs(
            conversation_id="conv-1", message=message, history=tuple(self.history), session=self.session
        )
        turns = ()
        while not isinstance(said := self.model(DialogueSoFar(inputs=inputs, turns=turns, may_use_tools=True)), str):
            assert said.uses
            self.uses += [(use.tool, dict(use.arguments)) for use in said.uses]
            turns = (*turns, ToolTurn(text="", uses=said.uses, contents=tuple(map(self._answer, said.uses))))
        reply = AssistantReply.model_validate_json(said)
        assert reply.fault() == ""
        used = ((use.tool, content) for turn in turns for use, content in zip(turn.uses, turn.contents, strict=True))
        outcomes = [(tool, "failed" if "error" in json.loads(text) else "done", text) for tool, text in used]
        assert reply_findings(reply, SeenTurn.of_uses(inputs, outcomes)) == ()
        self.history += [Spoken(by="customer", text=message), Spoken(by="assistant", text=reply.reply)]
        return reply

    def _answer(self, use):
        bank = Bank(knowledge=bank_knowledge(), records=self.records, clock=lambda: self.at)
        try:
            if use.tool in self.broken:
                raise ToolError("the service is down for maintenance; nothing was done")
            return json.dumps(METHODS[use.tool](bank, **use.arguments) | self.planted)
        except ToolError as err:
            return json.dumps({"error": str(err)})
