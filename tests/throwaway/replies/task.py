"""A task nobody needs: it replies to a question with what documents say, and names them. Tests drop it into the house."""

import json
from typing import Any, ClassVar

from pydantic import BaseModel

from service.core.run.task import Task
from service.core.unit.question import Question, Said, ToolTurn, Use


class Asked(BaseModel):
    question: str


class ReplyWithSources(BaseModel):
    reply: str
    sources: tuple[str, ...]


def _searches(document: Any) -> str | Said:
    question, contents = document
    if not contents:
        return Said(output="", uses=(Use(tool="search_documents", arguments={"query": question}, call_id="1"),))
    passages = json.loads(contents[0]).get("passages", [])
    reply = passages[0]["text"][:200] if passages else "I do not know."
    return json.dumps({"reply": reply, "sources": [one["document_id"] for one in passages[:1]]})


def _invents(document: Any) -> str | Said:
    answer = _searches(document)
    return answer if isinstance(answer, Said) else json.dumps({"reply": "Surely.", "sources": ["gas-smell", "solar"]})


class Replies(Task[Asked]):
    name: ClassVar[str] = "replies"
    input_model: ClassVar[type[BaseModel]] = Asked
    output_model: ClassVar[type[BaseModel]] = ReplyWithSources
    variables: ClassVar[frozenset[str]] = frozenset({"question"})
    in_process: ClassVar = {"local.searches-v1": _searches, "local.invents-v1": _invents}

    def values(self, inputs):
        return {"question": inputs.question}

    def steps(self, inputs, pair):
        turns = ()
        while True:
            answer = yield Question(
                values=self.values(inputs),
                document=(inputs.question, [content for turn in turns for content in turn.contents]),
                read=lambda text: self.check(text, pair.output),
                turns=turns,
                tools=True,
            )
            if not answer.uses:
                return answer.output
            contents = []
            for use in answer.uses:
                outcome = yield use
                contents.append(outcome.content)
            turns = (*turns, ToolTurn(text=answer.output, uses=answer.uses, contents=tuple(contents)))


TASK = Replies()
