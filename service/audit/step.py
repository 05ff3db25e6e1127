"""The events of one step of a conversation, before anything personal is taken out of them. Pure: no clock, no store."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from service.audit.record import (
    AuditData,
    AuditError,
    AuditLevel,
    ConversationEnd,
    ConversationStarted,
    FindingAction,
    HandoverDecided,
    ModelInvoked,
    ModelResponded,
    ToolCall,
    ToolInvoked,
    UserInput,
    ValidationChecked,
)
from service.core.redaction.persons import json_in
from service.core.run.dialogue.turn import DialogueInputs, DialogueReply
from service.core.run.task_result import NotedFinding, TaskResult
from service.core.tools.use import TracedStep
from service.core.unit.channel import Channel
from service.core.unit.customer import Customer
from service.kit.frame.errors import FailureCode

# What a guard finds beside statements that nothing supports.
_NO_HALLUCINATION = frozenset(
    {"technical_talk", "denies_ai", "not_disclosed", "done_not_said", "planted_order", "prompt rule", "said_twice"}
)
_QUEUE = re.compile(r"(?=.*[A-Za-z])[\w.:/-]{1,200}", re.ASCII)  # a name or an ARN, and nobody's number
_UNNAMED = "unknown"  # a model may name anything as a tool


@dataclass(frozen=True, slots=True, kw_only=True)
class ConversationFacts:
    """What is known of a conversation before a turn; ``tools`` are those that its last turns called."""

    channel: Channel = Channel.CHAT
    started_at: datetime | None = None
    turns: int = 0
    tools: tuple[str, ...] = ()
    session: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditedTurn:
    """A turn that is being answered. ``model`` is the id of the pair's model, ``checks`` are what the task's guard looks for."""

    inputs: DialogueInputs
    facts: ConversationFacts
    correlation_id: str
    began: datetime
    model: str
    offered: tuple[str, ...]
    checks: tuple[str, ...]

    def tools_used(self, steps: Sequence[TracedStep]) -> tuple[str, ...]:
        """Return the distinct tools of the conversation, this turn's included, in order of first use."""
        here = (self.tool(step.name) for step in steps if step.kind == "tool")
        return tuple(dict.fromkeys((*self.facts.tools, *here)))

    def tool(self, name: str) -> str:
        """Return the name of an offered tool."""
        return name if name in self.offered else _UNNAMED


@dataclass(frozen=True, slots=True, kw_only=True)
class RawEvent:
    """An event that may still hold personal data."""

    at: datetime
    data: AuditData
    level: AuditLevel = "INFO"
    error: AuditError | None = None


@dataclass(slots=True)
class _Clock:
    """The time at which a step ended: a run notes durations, not times."""

    now: datetime
    events: list[RawEvent] = field(default_factory=list)

    def add(
        self, data: AuditData, *, ms: float = 0.0, level: AuditLevel = "INFO", error: AuditError | None = None
    ) -> None:
        self.now += timedelta(milliseconds=ms)
        self.events.append(RawEvent(at=self.now, data=data, level=level, error=error))


def start_event(at: datetime, channel: Channel, session: Mapping[str, str]) -> RawEvent:
    """Return the event of a conversation that begins; ``session`` is what the channel has verified."""
    queue = session.get("queue_id", "")
    return RawEvent(
        at=at,
        data=ConversationStarted(
            channel=channel,
            customer_phone=Customer.verified(session).of("phone"),
            queue_id=queue if _QUEUE.fullmatch(queue) else None,
        ),
    )


def turn_events(
    turn: AuditedTurn, result: TaskResult, reply: DialogueReply | None, ended: datetime
) -> Sequence[RawEvent]:
    """Return the events of an answered or failed turn; ``reply`` is None if it failed."""
    clock = _Clock(turn.began)
    voice = turn.facts.channel.can.speech
    clock.add(
        UserInput(transcript=turn.inputs.message, input_mode="voice" if voice else "text", confidence=None),
    )
    error = _error_of(result)
    refused = any(action_taken(found, result) == "fallback" for found in result.findings)
    for step, uses in _with_uses(result.trace):
        if step.kind == "tool":
            _add_tool(clock, turn, step)
        else:
            _add_model(clock, turn, step, uses)
    if error is not None and not refused:
        clock.add(_invoked(turn, turn.model, 0.0), level="ERROR" if reply is None else "WARN", error=error)
    if reply is not None and result.degraded:
        clock.add(_invoked(turn, result.model, 0.0))
        clock.add(ModelResponded(stop_reason="end_turn", tool_calls=(), response_text=reply.reply, latency_ms=0.0))
    clock.now = max(clock.now, ended)
    clock.add(
        _validation(turn, result, refused=refused),
        level="WARN" if result.findings else "INFO",
        error=error if refused else None,
    )
    if reply is not None:
        _add_outcome(clock, turn, result, reply)
    return clock.events


def _add_outcome(clock: _Clock, turn: AuditedTurn, result: TaskResult, reply: DialogueReply) -> None:
    turns, tools = turn.facts.turns + 1, turn.tools_used(result.trace)
    handed = reply.action == "handover"
    reason = None if reply.handover is None else reply.handover.reason
    clock.add(HandoverDecided(handover_triggered=handed, reason=reason, conversation_turns=turns, tools_used=tools))
    if reply.action in ("handover", "close"):
        began = turn.facts.started_at or turn.began
        clock.add(
            ConversationEnd(
                duration_seconds=round((clock.now - began).total_seconds(), 3),
                total_turns=turns,
                tools_used=tools,
                handover_occurred=handed,
                resolution_status="transferred" if handed else "resolved",
            )
        )


def action_taken(finding: NotedFinding, result: TaskResult) -> FindingAction:
    """Return what followed from a finding: the answer was shown all the same, written again, or replaced."""
    if finding.severity == "low":
        return "logged"
    return "regenerated" if result.repaired and finding.severity == "medium" else "fallback"


def is_hallucination(kind: str) -> bool:
    """Return whether a finding is a statement that nothing supports, and not a fault of manner or disclosure."""
    return kind not in _NO_HALLUCINATION


def tool_results(turn: AuditedTurn, result: TaskResult) -> list[dict[str, object]]:
    """Return what the turn's tools answered, in order."""
    return [
        {"tool_name": turn.tool(step.name), "tool_output": _parsed(step.content)}
        for step in result.trace
        if step.kind == "tool"
    ]


def _with_uses(trace: Sequence[TracedStep]) -> Iterator[tuple[TracedStep, tuple[TracedStep, ...]]]:
    """Yield each step with the tools that were used because of it: those that follow it before the next model call."""
    for at, step in enumerate(trace):
        uses: list[TracedStep] = []
        if step.kind == "model" and step.name == "main":
            for later in trace[at + 1 :]:
                if later.kind == "model":
                    break
                uses.append(later)
        yield step, tuple(uses)


def _add_model(clock: _Clock, turn: AuditedTurn, step: TracedStep, uses: tuple[TracedStep, ...]) -> None:
    usable = step.status in ("end_turn", "tool_use")
    level: AuditLevel = "INFO" if usable else "WARN"
    clock.add(_invoked(turn, step.model, step.ms), level=level)
    calls = tuple(ToolCall(tool_name=turn.tool(use.name), tool_input=dict(use.arguments or {})) for use in uses)
    clock.add(
        ModelResponded(
            stop_reason=step.status, tool_calls=calls, response_text=_said_in(step.content), latency_ms=step.ms
        ),
        ms=step.ms,
        level=level,
    )


def _add_tool(clock: _Clock, turn: AuditedTurn, step: TracedStep) -> None:
    clock.add(
        ToolInvoked(
            tool_name=turn.tool(step.name),
            tool_input=dict(step.arguments or {}),
            tool_output=_parsed(step.content),
            latency_ms=step.ms,
        ),
        ms=step.ms,
        level="INFO" if step.status == "done" else "WARN",
    )


def _invoked(turn: AuditedTurn, model: str, ms: float) -> ModelInvoked:
    return ModelInvoked(
        model_id=model,
        user_message=turn.inputs.message,
        conversation_history_length=len(turn.inputs.history),
        tools_available=turn.offered,
        latency_ms=ms,
    )


def _validation(turn: AuditedTurn, result: TaskResult, *, refused: bool) -> ValidationChecked:
    # Code is right by construction, so no guard reads what it writes.
    read = bool(result.findings) or any(step.kind == "model" and step.origin != "code" for step in result.trace)
    corrected = any(finding.severity != "low" for finding in result.findings)
    return ValidationChecked(
        validation_passed=not refused,
        hallucination_detected=any(is_hallucination(finding.kind) for finding in result.findings),
        confidence_score=0.0 if refused else 0.5 if corrected else 1.0,
        checks_performed=turn.checks if read else (),
    )


def _error_of(result: TaskResult) -> AuditError | None:
    if result.failure is None and not result.stack:
        return None
    code = (result.failure or FailureCode.INTERNAL_ERROR).value
    return AuditError(code=code if result.failure is not None else result.stack[-1], stack=result.stack)


def _said_in(content: str) -> str:
    """Return the reply in a model's output, which is JSON; a text as it is."""
    found = json_in(content)
    return str(found.get("reply", content)) if isinstance(found, dict) else content


def _parsed(content: str) -> object:
    found = json_in(content)
    return content if found is None else found
