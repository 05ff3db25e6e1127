"""The face of ``POST /v1/<task>``: takes persons out of inputs and output, and makes the record that is stored."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from fastapi import Request
from pydantic import BaseModel

from service.access.tokens import Caller
from service.answers_kept.answer_record import KeptAnswer, KeptToolCall
from service.api.answer_path import Answered, Face
from service.api.answering import runtime_of
from service.core.redaction.free_text import RedactionFailed
from service.core.redaction.persons import Persons, json_text
from service.core.redaction.texts import WITHHELD
from service.core.release.served import ServedPair
from service.core.run.task import Task
from service.kit.telemetry.log import Event, account_hash, log

# A text column of Redshift takes 65,535 bytes.
_MOST_BYTES = 60_000
_MOST_ON_THE_LOOP = 5_000  # characters; a longer output would hold up other requests for milliseconds


@dataclass(slots=True, kw_only=True)
class _Ready:
    """What may be stored of a request's inputs, and whom they are about."""

    persons: Persons = field(default_factory=Persons)
    inputs: dict[str, Any] | None = None
    customer: str = ""
    conversation: str | None = None
    withheld: tuple[str, ...] = ()


class TaskFace(Face[BaseModel]):
    """``POST /v1/<task>``: the request brings the inputs. They are redacted in a thread while the model answers."""

    def __init__(self, task: Task[Any], inputs: BaseModel, request: Request) -> None:
        super().__init__(task, runtime_of(request), tenant=task.tenant(inputs), unit=task.unit(inputs))
        self._inputs = inputs
        self._caller: Caller | None = getattr(request.state, "caller", None)
        self._ready: asyncio.Future[_Ready | None] | None = None

    async def read(self, served: ServedPair) -> BaseModel:
        """Return the inputs, and begin to redact them; without any store, nothing happens here."""
        if self.runtime.summaries.keeps:
            self._ready = asyncio.ensure_future(asyncio.to_thread(_without_persons, self.task, self._inputs))
        return self._inputs

    async def keep(self, answered: Answered, *, patience_s: float) -> bool | None:
        """See ``Face.keep``. Never raises."""
        ready = None if self._ready is None else await self._ready
        if ready is None:
            return None
        try:
            assert answered.result.output is not None
            output, why = await _cleaned(answered.result.output, ready.persons)
            record = self._record(ready, answered, output, why)
        except Exception as err:  # an answer is not lost to its agent because its record cannot be made
            log(Event.SUMMARY_UNKEPT, reason=f"no record of {self.task.name}: {type(err).__name__}")
            return False
        return await self.runtime.summaries.keep(record, patience_s=patience_s)

    def logged(self, answered: Answered) -> Mapping[str, Any]:
        """See ``Face.logged``."""
        return {"task": self.task.name, **({} if answered.kept is None else {"kept": answered.kept})}

    def _record(self, ready: _Ready, answered: Answered, output: str, why: tuple[str, ...]) -> KeptAnswer:
        offered = {tool.name for tool in answered.served.pair.tools}
        return KeptAnswer(
            **answered.facts,
            task=self.task.name,
            tenant=None if self._caller is None else self._caller.tenant,
            customer=ready.customer,
            conversation=ready.conversation,
            persons=ready.persons.pseudonyms,
            inputs=ready.inputs,
            output=output,
            withheld=(*ready.withheld, *why),
            tools=tuple(
                # A model may name anything as a tool.
                KeptToolCall(
                    name=step.name if step.name in offered else "unknown", status=step.status, reason=step.reason
                )
                for step in answered.result.trace
                if step.kind == "tool"
            ),
        )


def _without_persons(task: Task[Any], inputs: BaseModel) -> _Ready | None:
    """Return what may be stored of ``inputs``; None if the task says that nothing may be, or fails to say it."""
    ready = _Ready()
    try:
        kept = task.without_ids(inputs, ready.persons.pseudonym)
        if kept is None:
            return None
        unit, conversation = task.unit(inputs), task.conversation(inputs)
        if unit is not None:
            ready.persons.pseudonym(unit)
            ready.customer = account_hash(unit)
        if conversation is not None:
            ready.conversation = ready.persons.pseudonym(conversation)
    except Exception as err:  # fail closed: what cannot be said to be free of ids is not kept
        log(Event.SUMMARY_UNKEPT, reason=f"ids of {task.name}: {type(err).__name__}")
        return None
    try:
        _check_length(kept.model_dump_json())  # before it is paid for
        clean = ready.persons.clean_model(kept)
        _check_length(json_text(clean))  # a pseudonym can be longer than its id
        ready.inputs = clean
    except Exception as err:  # fail closed
        ready.withheld = (f"inputs: {_reason(err)}",)
    return ready


async def _cleaned(output: str, persons: Persons) -> tuple[str, tuple[str, ...]]:
    """Return what ``_output_without_persons`` does, of a long output by a thread."""
    if len(output) <= _MOST_ON_THE_LOOP:
        return _output_without_persons(output, persons)
    return await asyncio.to_thread(_output_without_persons, output, persons)


def _output_without_persons(output: str, persons: Persons) -> tuple[str, tuple[str, ...]]:
    """Return the output as it may be stored, a JSON output as JSON, and why it is withheld if it is."""
    try:
        clean = persons.clean_output(output)
        _check_length(clean)
        return clean, ()
    except Exception as err:  # fail closed
        return WITHHELD, (f"output: {_reason(err)}",)


def _check_length(text: str) -> None:
    size = len(text.encode(errors="surrogatepass"))
    if size > _MOST_BYTES:
        raise RedactionFailed(f"{size} bytes are too long to keep")


def _reason(err: Exception) -> str:
    # The message of any other error may quote the text.
    return str(err) if isinstance(err, RedactionFailed) else type(err).__name__
