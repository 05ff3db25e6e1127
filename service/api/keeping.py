"""Keeps the answers of ``POST /v1/<task>``: takes persons out of inputs and output, and makes the record that is stored."""

import asyncio
from dataclasses import dataclass, field
from typing import Any

from fastapi import Request
from pydantic import BaseModel

from service.access.tokens import Caller
from service.answers_kept.answer_record import KeptAnswer, KeptToolCall
from service.answers_kept.record import utc_text
from service.api.answering import short_name, usd
from service.core.redaction.free_text import RedactionFailed
from service.core.redaction.persons import Persons, json_text
from service.core.redaction.texts import WITHHELD
from service.core.release.served import ServedPair
from service.core.run.task import Task, TaskResult
from service.kit.telemetry.log import Event, account_hash, log
from service.runtime import Runtime
from service.warehouse.events import SCHEMA_VERSION

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


class Keeping:
    """Keeps one request's answer. The inputs are redacted in a thread while the model answers: no request waits for it."""

    def __init__(self, task: Task[Any], inputs: BaseModel, runtime: Runtime) -> None:
        """Begin with the inputs; without any store, nothing happens here."""
        self._task = task.name
        self._runtime = runtime
        self._ready: asyncio.Future[_Ready | None] | None = None
        if runtime.summaries.keeps:
            self._ready = asyncio.ensure_future(asyncio.to_thread(_without_persons, task, inputs))

    async def keep(
        self,
        result: TaskResult,
        *,
        served: ServedPair,
        request: Request,
        request_id: str,
        latency_ms: int,
        patience_s: float,
    ) -> bool | None:
        """Keep an answer; return whether it is stored durably already, None if this task's answers are not kept. Never raises."""
        ready = None if self._ready is None else await self._ready
        if ready is None:
            return None
        try:
            assert result.output is not None
            clean = await _cleaned(result.output, ready.persons)
            record = self._record(
                ready, result, clean, served=served, request=request, request_id=request_id, latency_ms=latency_ms
            )
        except Exception as err:  # an answer is not lost to its agent because its record cannot be made
            log(Event.SUMMARY_UNKEPT, reason=f"no record of {self._task}: {type(err).__name__}")
            return False
        return await self._runtime.summaries.keep(record, patience_s=patience_s)

    def _record(
        self,
        ready: _Ready,
        result: TaskResult,
        clean: tuple[str, tuple[str, ...]],
        *,
        served: ServedPair,
        request: Request,
        request_id: str,
        latency_ms: int,
    ) -> KeptAnswer:
        caller: Caller | None = getattr(request.state, "caller", None)  # None without access control (the harness)
        output, why = clean
        offered = {tool.name for tool in served.pair.tools}
        return KeptAnswer(
            task=self._task,
            request_id=request_id,
            client="unknown" if caller is None else caller.client_id,
            tenant=None if caller is None else caller.tenant,
            customer=ready.customer,
            conversation=ready.conversation,
            persons=ready.persons.pseudonyms,
            generated_at=utc_text(self._runtime.now()),
            inputs=ready.inputs,
            output=output,
            withheld=(*ready.withheld, *why),
            tools=tuple(
                # A model may name anything as a tool.
                KeptToolCall(
                    name=step.name if step.name in offered else "unknown", status=step.status, reason=step.reason
                )
                for step in result.trace
                if step.kind == "tool"
            ),
            model_used=short_name(result.model, self._runtime),
            answered_by=short_name(result.answered_by, self._runtime),
            arm=result.arm,
            degraded=result.degraded,
            pair=served.pair.name,
            pair_digest=served.pair.digest,
            prompt_version=f"v{served.pair.version}",
            registry_version=served.registry_version,
            rollout_arm=served.rollout_arm,
            environment=self._runtime.settings.environment,
            latency_ms=latency_ms,
            cost_usd=usd(result),
            input_tokens=result.usage.input_tokens,
            output_tokens=result.usage.output_tokens,
            prompt_cache_read_tokens=result.usage.cache_read_tokens,
            prompt_cache_write_tokens=result.usage.cache_write_tokens,
            guard_findings=result.guard_findings,
            guard_kinds=tuple(sorted(result.guarded)),
            repaired=result.repaired,
            schema_version=SCHEMA_VERSION,
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
