"""A task nobody needs: it shouts. Tests drop it into the house to see that a task is four places."""

from typing import ClassVar

from pydantic import BaseModel

from service.core.run.guard import Objection
from service.core.run.task import Task
from service.core.unit.question import Question
from service.kit.frame.errors import OutputInvalid


class ShoutInputs(BaseModel):
    text: str


class Shout(Task[ShoutInputs]):
    name: ClassVar[str] = "shout"
    input_model: ClassVar[type[BaseModel]] = ShoutInputs
    variables: ClassVar[frozenset[str]] = frozenset({"text"})
    part_variables: ClassVar = {"judge": frozenset({"answer"})}
    in_process: ClassVar = {
        "local.judge-v1": lambda answer: "high" if "DAMN" in answer else "",
        "local.shout-v1": lambda inputs: inputs.text.upper(),
        "local.whisper-v1": lambda inputs: inputs.text.lower(),
    }

    def values(self, inputs):
        return {"text": inputs.text}

    def unit(self, inputs):
        return inputs.text

    def without_ids(self, inputs, pseudonym):
        return inputs.model_copy(update={"text": pseudonym(inputs.text)})

    def validate(self, inputs, pair, answer, seen):
        if not pair.has_part("judge"):
            return ()
        severity = yield Question(part="judge", values={"answer": answer}, document=answer, read=str)
        return (Objection(kind="curse", told="Do not curse.", severity=severity),) if severity else ()

    def check(self, text, rules):
        if not text:
            raise OutputInvalid("the answer is empty")
        return text


TASK = Shout()
