"""Labelled replies, true ones and ones with a planted fault, and what a task's guard makes of each.

``datasets/<task>/replies/<name>.jsonl`` holds a turn per line: what was said, which tools were used, the reply, and its fault.
"""

import asyncio
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from eval.dialogue.scenario import ConversationScenario, CustomerScript, ToolFault
from eval.dialogue.world import CaseWorld, FaultyTools
from eval.spine.cases import numbered_lines
from eval.spine.errors import CaseError
from service.core.run.dialogue.turn import Spoken
from service.core.run.guard import Guard, GuardFinding, kinds_of, worst_of
from service.core.run.task import Task
from service.core.statements.answers.finding import Severity
from service.core.statements.grounding.text import fold, sentences
from service.core.tools.port import ToolError
from service.core.tools.use import TracedStep
from service.core.unit.pair import OutputRules
from service.kit.frame.canonical import canonical_json
from service.kit.frame.errors import OutputInvalid

FOLDER = "replies"
OpenWorld = Callable[[ConversationScenario], CaseWorld]
_FORM = OutputRules(schema="labelled", max_words=1_000)
_NOBODY = CustomerScript(goal="none", opens=("-",))  # nothing is played: the turn stands in the row


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class PlantedFault(_Strict):
    """What is wrong with a reply: a guard finds it if it names one of ``kinds``, with this severity or a higher one."""

    kinds: tuple[str, ...] = Field(min_length=1)
    severity: Severity


class ReplyUse(_Strict):
    """A use of a tool; what it answers comes from the suite's world."""

    tool: str
    arguments: Mapping[str, Any] = Field(default_factory=dict)


class LabelledReply(_Strict):
    """One line: a turn with its reply. ``variety`` groups replies in reports; without ``fault`` the reply is true."""

    id: str = Field(pattern=r"^[a-z0-9-]{3,80}$")
    variety: str
    history: tuple[Spoken, ...] = ()
    message: str
    world: dict[str, Any] = Field(default_factory=dict)
    tool_faults: tuple[ToolFault, ...] = ()
    uses: tuple[ReplyUse, ...] = ()
    reply: Mapping[str, Any]
    fault: PlantedFault | None = None
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckedReply:
    """A labelled reply and the guard's findings in it.

    ``left`` are the findings after a scripted repair, which only leaves out each sentence that a finding quotes; None where
    there was none to make: the worst finding is low or high, or nothing of the reply would be left.
    """

    row: LabelledReply
    findings: tuple[GuardFinding, ...]
    left: tuple[GuardFinding, ...] | None = None

    @property
    def to_repair(self) -> bool:
        """Whether the model would be asked to write the reply again."""
        return bool(self.findings) and worst_of(self.findings) == "medium"

    @property
    def repaired(self) -> bool:
        """Whether a customer could read the reply after the scripted repair."""
        return self.left is not None and (not self.left or worst_of(self.left) == "low")

    @property
    def held_back(self) -> bool:
        """Whether a customer does not read the reply as it is: some finding is more than low."""
        return bool(self.findings) and worst_of(self.findings) != "low"

    @property
    def found(self) -> bool:
        """Whether the planted fault has its consequence: a low one is counted, any other holds the reply back."""
        if self.row.fault is None or not self.findings:
            return False
        return self.held_back or self.row.fault.severity == "low"

    @property
    def named(self) -> bool:
        """Whether a finding names the fault as the label does, and the consequence is the one it should have."""
        fault = self.row.fault
        if fault is None or not self.findings:
            return False
        return worst_of(self.findings) == fault.severity and not set(fault.kinds).isdisjoint(kinds_of(self.findings))


def load_replies(task: str, name: str, datasets_dir: Path) -> tuple[LabelledReply, ...]:
    """Return the labelled replies of a task; none if it has no such file."""
    path = datasets_dir / task / FOLDER / f"{name}.jsonl"
    rows: dict[str, LabelledReply] = {}
    for number, line in numbered_lines(path) if path.exists() else ():
        try:
            row = LabelledReply.model_validate_json(line)
        except ValidationError as err:
            first = err.errors(include_url=False)[0]
            field = ".".join(map(str, first["loc"])) or "the line"
            raise CaseError(f"{path}:{number}: {field}: {first['msg']}; mend the line and run again") from err
        if row.id in rows:
            raise CaseError(f"{path}:{number}: id {row.id!r} stands twice; give one of the replies another")
        rows[row.id] = row
    return tuple(rows.values())


def checked_replies(rows: Sequence[LabelledReply], task: Task[Any], world: OpenWorld) -> tuple[CheckedReply, ...]:
    """Return what the task's guard finds in each reply, with what the tools of ``world`` answer to its uses."""
    return asyncio.run(_checked(rows, task, world))


async def _checked(rows: Sequence[LabelledReply], task: Task[Any], world: OpenWorld) -> tuple[CheckedReply, ...]:
    checked = []
    for row in rows:
        try:
            history = [turn.model_dump() for turn in row.history]
            inputs = task.input_model.model_validate(
                {"conversation_id": row.id, "message": row.message, "history": history}
            )
            reply = task.check(json.dumps(row.reply), _FORM)
            guard: Guard | None = task.guard(inputs, await _steps(row, world))
        except (ValidationError, OutputInvalid, TypeError) as err:
            raise CaseError(f"labelled reply {row.id!r}: {err}; mend its line") from err
        checked.append(_guarded(row, reply, guard))
    return tuple(checked)


def _guarded(row: LabelledReply, reply: str, guard: Guard | None) -> CheckedReply:
    found = CheckedReply(row=row, findings=() if guard is None else tuple(guard(reply)))
    if guard is None or not found.to_repair:
        return found
    quoted = [fold(finding.value) for finding in found.findings if finding.value]
    fields = json.loads(reply)
    kept = [text for text in sentences(fields["reply"]) if not any(value in fold(text) for value in quoted)]
    if not kept:
        return found
    return replace(found, left=tuple(guard(canonical_json(fields | {"reply": " ".join(kept)}))))


async def _steps(row: LabelledReply, world: OpenWorld) -> tuple[TracedStep, ...]:
    """Return the row's uses as the steps of a run, each with what the tool answers to it."""
    scenario = ConversationScenario(world=row.world, customer=_NOBODY, faults=row.tool_faults)
    tools = FaultyTools(world(scenario), scenario.faults)
    steps = []
    for use in row.uses:
        try:
            status, content = "done", await tools.call(use.tool, use.arguments, key=None)
        except ToolError as err:
            status, content = "failed", json.dumps({"error": str(err)})
        steps.append(
            TracedStep(kind="tool", name=use.tool, status=status, ms=0.0, arguments=use.arguments, content=content)
        )
    return tuple(steps)
