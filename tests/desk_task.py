"""A throw-away task with everything that can be kept of an answer: persons, a conversation, a tool, JSON as its output."""

import json
from datetime import datetime
from typing import ClassVar

from builders import make_pair
from pydantic import BaseModel

from service.core.release.served import PairSourceStatus, ServedPair
from service.core.run.task import Task
from service.core.unit.cards import ModelCard
from service.core.unit.pair import ToolSpec
from service.core.unit.question import Use
from service.kit.frame.errors import OutputInvalid

MODEL = "local.desk-v1"
ACCOUNT, NAME, CONVERSATION = "KD-7731-4410", "Wilhelmina Okonkwo", "conv.4711-abc"
PHONE = "0171 5550 1234"
CARD = ModelCard.model_validate(
    {
        "id": MODEL,
        "short_name": "desk",
        "wire": "in_process",
        "runs": "local",
        "context_tokens": 9,
        "prices": {"input": 0, "output": 0, "source": "test", "date": "2026-11-21"},
    }
)


class Turn(BaseModel):
    by: str
    text: str


class DeskInputs(BaseModel):
    account: str
    conversation_id: str
    at: datetime
    question: str
    history: tuple[Turn, ...] = ()
    order: int | str = 0  # kept as "[number]" if it may be a person's
    firm: str | None = None


def desk_inputs(**changes):
    given = {
        "account": ACCOUNT,
        "conversation_id": CONVERSATION,
        "at": "2026-11-20T14:33:02.512345Z",
        "question": f"My name is {NAME}, account {ACCOUNT.lower()}, call {PHONE}. Where is my order?",
        "history": [{"by": "customer", "text": f"{NAME} here, about {ACCOUNT} and a charge of $45.20 on 2026-11-08."}],
        "order": 88123456,
    }
    return given | changes


class Desk(Task[DeskInputs]):
    """Says what it was asked back, so that a person in the inputs is in the output, too."""

    name: ClassVar[str] = "desk"
    input_model: ClassVar[type[BaseModel]] = DeskInputs
    variables: ClassVar[frozenset[str]] = frozenset({"question"})
    in_process: ClassVar = {
        MODEL: lambda inputs: json.dumps(
            {"reply": f"Dear {NAME} ({inputs.account}): {inputs.question}", "order": inputs.order, "action": "answer"}
        )
    }
    stores: ClassVar[bool] = True

    def values(self, inputs):
        return {"question": inputs.question}

    def unit(self, inputs):
        return inputs.account

    def conversation(self, inputs):
        return inputs.conversation_id

    def tenant(self, inputs):
        return inputs.firm

    def without_ids(self, inputs, pseudonym):
        if not self.stores:
            return None
        changes = {"account": pseudonym(inputs.account), "conversation_id": pseudonym(inputs.conversation_id)}
        return inputs.model_copy(update=changes)

    def steps(self, inputs, pair):
        yield Use(tool="orders", arguments={"account": inputs.account})
        yield Use(tool=NAME, arguments={})
        return (yield from super().steps(inputs, pair))

    def check(self, text, rules):
        if not text:
            raise OutputInvalid("the answer is empty")
        return text


class DeskPairs:
    """Serves one pair of the task from memory."""

    def __init__(self):
        tool = ToolSpec(name="orders", description="Orders of an account.", arguments={"type": "object"}, writes=False)
        pair = make_pair("desk", "desk", model=MODEL, asked="<q>{{question}}</q>", tools=(tool,))
        self.served = ServedPair(
            pair=pair, registry_version=7, sequence=3, released_at="t", released_by="dana", source="registry"
        )

    def current(self):
        return self.served

    def status(self):
        return PairSourceStatus(served=self.served, last_refresh_at="t", last_error=None, age_s=1.0)

    def start(self):
        pass

    stop = start
