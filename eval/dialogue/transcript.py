"""Words a conversation and its case for people."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from eval.dialogue.judging import worded
from eval.dialogue.record import ConversationRecord, TurnRecord, UseRecord
from eval.dialogue.scenario import ConversationScenario, CustomerScript, DialogueExpectations, ExpectedCall
from eval.spine.case_rules import Passage, string_passages
from eval.spine.cases import Case

_MOST_CONTENT = 300
_SAID = re.compile(r"^(goal$|opens\.|then\.)|\.says\.")
_ENDED = {
    "answered": "The customer had an answer.",
    "closed": "The assistant closed the conversation.",
    "handover": "A person took over.",
    "patience": "The customer gave up.",
    "not understood": "The customer did not understand what was asked.",
    "failed": "The assistant gave no reply.",
}


def transcript(record: ConversationRecord) -> str:
    """Return a conversation line by line: who said what, which tools were used, how it ended and what it changed."""
    lines = [line for turn in record.turns for line in _turn_lines(turn)]
    return "\n".join([*lines, f"[{_ENDED[record.ended]} Changed: {worded(record.changes)}.]"])


def _turn_lines(turn: TurnRecord) -> Iterator[str]:
    yield f"Customer: {turn.message}"
    for use in turn.uses:
        yield f"  {called(use.tool, use.arguments)} {_came_of(use)}"
    if turn.reply is None:
        why = turn.failure.value if turn.failure is not None else "no reply"
        yield f"  [{why}]{f' {turn.rejected}' if turn.rejected else ''}"
        return
    asks = f" [asks for {', '.join(turn.reply.asks)}]" if turn.reply.asks else ""
    yield f"Assistant: {turn.reply.reply}{asks}"
    if turn.reply.handover is not None:
        yield f"  [hands over, {turn.reply.handover.reason}: {turn.reply.handover.context}]"


def called(tool: str, arguments: Mapping[str, Any]) -> str:
    """Return a call as one would write it."""
    return (
        f"{tool}({', '.join(f'{name}={json.dumps(value, ensure_ascii=False)}' for name, value in arguments.items())})"
    )


def _came_of(use: UseRecord) -> str:
    shown = use.content if len(use.content) <= _MOST_CONTENT else f"{use.content[:_MOST_CONTENT]}..."
    return f"{use.status}{f' ({use.reason})' if use.reason else ''}: {shown}"


def about(case: Case) -> tuple[dict[str, str], dict[str, str]]:
    """Return what a case gives and what it demands, each by heading."""
    scenario, expected = ConversationScenario.model_validate(case.inputs), case.expectations
    script = scenario.customer
    facts = {
        "goal": script.goal,
        "knows": "; ".join(f"{name}: {fact.says[0]}" for name, fact in script.knows.items()),
        "then": script.then[0] if script.then else "",
        "corrects": script.corrects.says[0] if script.corrects else "",
        "interrupts": script.interrupts.says[0] if script.interrupts else "",
        "refuses": "to confirm" if script.refuses else "",
        "verified": ", ".join(f"{name} {value}" for name, value in scenario.session.items()),
        "planted": "; ".join(f"{fault.kind} at call {fault.nth} of {fault.tool}" for fault in scenario.faults),
    }
    demands = _expected(expected) if isinstance(expected, DialogueExpectations) else {}
    return _given(facts), _given(demands)


def customer_words(script: CustomerScript) -> tuple[Passage, ...]:
    """Return what a customer wants and says, by path."""
    return tuple(
        replace(passage, id=f"customer.{passage.id}") for passage in string_passages(script) if _SAID.search(passage.id)
    )


def _given(texts: Mapping[str, str]) -> dict[str, str]:
    return {name: text for name, text in texts.items() if text}


def _expected(expected: DialogueExpectations) -> dict[str, str]:
    handover = expected.handover
    return {
        "must change": " or ".join(map(worded, expected.end_states)) or "nothing",
        "must call": _calls(expected.calls),
        "must not call": _calls(expected.forbidden_calls),
        "must tell": "; ".join(fact.statement for fact in expected.told),
        "must not claim": "; ".join(claim.claim for claim in expected.claims),
        "must hand over": ""
        if handover is None
        else f"{' or '.join(handover.reasons)}, by turn {handover.by_turn}, telling "
        + ", ".join(fact.statement for fact in handover.context),
    }


def _calls(calls: tuple[ExpectedCall, ...]) -> str:
    return "; ".join(
        called(call.tool, call.arguments) + (" once confirmed" if call.confirmed else "") for call in calls
    )
