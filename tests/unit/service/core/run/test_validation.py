"""What follows from findings of each severity: a task whose answers its own guard and a judge, a part of the pair, grade."""

import asyncio
import json
from dataclasses import dataclass, field
from typing import ClassVar

import pytest
from builders import make_pair, make_part
from pydantic import BaseModel

from service.core.llm.model_call import ModelReply
from service.core.llm.pricing import Usage
from service.core.run.guard import Guard, Objection
from service.core.run.task import Task, TaskContext
from service.core.tools.allowed import AllowedTools
from service.core.unit.cards import ModelCard, ModelCards
from service.core.unit.pair import ToolSpec
from service.core.unit.question import Question, ToolTurn, Use
from service.kit.frame.errors import FailureCode, OutputInvalid, UpstreamUnavailable
from service.kit.telemetry import log
from service.kit.telemetry.log import Event

CARDS = ModelCards(
    [
        ModelCard(id="writer", short_name="writer", wire="bedrock", runs="provider", context_tokens=1000),
        ModelCard(id="judge", short_name="judge", wire="bedrock", runs="provider", context_tokens=1000),
        ModelCard(id="code", short_name="code", wire="in_process", runs="local", context_tokens=1000),
    ]
)
FIND = ToolSpec(name="find_fee", description="Find a fee.", arguments={"type": "object", "properties": {}})
FINE, LOW, MEDIUM, HIGH = ({"severity": severity} for severity in ("", "low", "medium", "high"))


class Inputs(BaseModel):
    text: str


class Careful(Task[Inputs]):
    """Answers from a tool's outcome; the judge grades the answer before it is shown."""

    name: ClassVar[str] = "careful"
    input_model: ClassVar[type[BaseModel]] = Inputs
    variables: ClassVar[frozenset[str]] = frozenset({"text"})
    part_variables: ClassVar = {"judge": frozenset({"answer"})}
    in_process: ClassVar = {"code": lambda document: "A person will call you."}
    fallback_model: ClassVar[str | None] = "code"
    most_steps: ClassVar[int] = 9

    def values(self, inputs):
        return {"text": inputs.text}

    def check(self, text, rules):
        return text

    def steps(self, inputs, pair):
        yield Use(tool="find_fee", arguments={})
        return (yield Question(values=self.values(inputs), document=inputs, read=str.strip))

    def validate(self, inputs, pair, answer, seen):
        graded = yield Question(part="judge", values={"answer": answer}, document=answer, read=_graded)
        grade = json.loads(graded)
        if not grade["severity"]:
            return ()
        return (Objection(kind="promise", told="It promises:", value="a refund", severity=grade["severity"]),)


def _graded(text):
    if "severity" not in text:
        raise OutputInvalid("this is no grade")
    return text


class Guarded(Careful):
    """Has a guard of its own instead of the judge."""

    def guard(self, inputs, seen=()):
        return FeeGuard(seen)

    def validate(self, inputs, pair, answer, seen):
        return Task.validate(self, inputs, pair, answer, seen)


@dataclass
class FeeGuard(Guard):
    """Knows only the fees that a tool has named."""

    seen: list
    heavy: bool = field(default=False)

    def prepare(self):
        pass

    def prepare_soon(self):
        return asyncio.get_running_loop().call_soon(self.prepare)

    def __call__(self, text):
        found = [] if "$" in text else [Objection(kind="no fee", told="Name the fee.", severity="low")]
        if "$" in text and not any(step.kind == "tool" and text.split("$")[1] in step.content for step in self.seen):
            found.append(Objection(kind="fee", told="No tool names this fee; leave it out:", value=text))
        if "idiot" in text:
            found.append(Objection(kind="insult", told="Leave that out.", severity="high"))
        return tuple(found)


class Models:
    def __init__(self, writer, judge=()):
        self.answers, self.calls = {"writer": list(writer), "judge": list(judge)}, []

    async def complete(self, call):
        self.calls.append(call)
        code = Careful.in_process.get(call.model)
        answer = self.answers[call.model].pop(0) if code is None else code(call.document)
        if isinstance(answer, Exception):
            raise answer
        uses = answer if isinstance(answer, tuple) else ()
        return ModelReply(
            text=answer if isinstance(answer, str) else "" if uses else json.dumps(answer),
            uses=uses,
            usage=Usage(input_tokens=10, output_tokens=5),
            stop_reason="end_turn",
            latency_ms=1.0,
            answered_by=call.model,
        )

    @property
    def asked(self):
        return [call.model for call in self.calls]


class Fees:
    async def listed(self):
        return (FIND,)

    async def call(self, name, arguments, *, key):
        return '{"fee": "5"}'


@pytest.fixture
def events(monkeypatch):
    found = []
    monkeypatch.setattr(log, "_listeners", [lambda event, fields: found.append((event, fields))])
    return found


def run(models, task=None, chain="serve", model="writer"):
    pair = make_pair(
        "careful", asked="<text>{{text}}</text>", model=model, parts=(make_part(model="judge"),), tools=(FIND,)
    )
    tools = AllowedTools(specs={FIND.name: FIND}, tools=Fees(), run_id="r")
    context = TaskContext(pair=pair, gateway=models, cards=CARDS, chain=chain, tools=tools)
    return asyncio.run((task or Careful()).run(Inputs(text="fee?"), context))


def test_an_answer_that_the_judge_finds_nothing_in_is_shown():
    models = Models(["$5"], [FINE])
    result = run(models)
    assert (result.output, result.repaired, result.guarded, result.model) == ("$5", False, (), "writer")
    assert models.asked == ["writer", "judge"]
    assert models.calls[1].messages[0].content == "<answer>$5</answer>"
    assert [step.name for step in result.trace] == ["find_fee", "main", "judge"]
    assert result.usage.input_tokens == 20


@pytest.mark.acceptance("validation-10", "validation-16")
def test_what_is_low_is_shown_logged_and_counted(events):
    result = run(Models(["$5"], [LOW]))
    assert (result.output, result.repaired, result.guarded, result.guard_findings) == ("$5", False, ("promise",), 1)
    (fields,) = [fields for event, fields in events if event is Event.GUARD_TRIGGERED]
    assert (fields["kinds"], fields["severity"], fields["arm"]) == ("promise", "low", "primary")


def test_what_is_medium_is_repaired_once_in_the_words_of_the_validation_and_checked_again():
    models = Models(["$5, and we refund it", "$5"], [MEDIUM, FINE])
    result = run(models)
    assert (result.output, result.repaired, result.guarded, result.attempts) == ("$5", True, ("promise",), 4)
    assert models.asked == ["writer", "judge", "writer", "judge"]
    _, before, request = models.calls[2].messages
    assert (before.role, before.content) == ("assistant", "$5, and we refund it")
    assert request.content == (
        'It promises: "a refund" Write the whole answer once more in the same form, with this corrected. '
        "Do not mention this correction."
    )
    assert models.calls[3].messages[0].content == "<answer>$5</answer>"


@pytest.mark.acceptance("validation-11")
def test_what_is_still_medium_after_the_repair_is_refused_and_the_tasks_own_fallback_answers():
    models = Models(["one", "two"], [MEDIUM, MEDIUM])
    result = run(models)
    assert (result.output, result.arm, result.guard_findings) == ("A person will call you.", "fallback", 2)
    assert models.asked == ["writer", "judge", "writer", "judge"]


def test_what_is_high_is_refused_without_a_repair():
    models = Models(["one"], [HIGH])
    result = run(models)
    assert (result.arm, result.guarded) == ("fallback", ("promise",))
    assert models.asked == ["writer", "judge"]


@pytest.mark.parametrize("judge", [UpstreamUnavailable("down"), "I like it."], ids=["down", "no grade"])
def test_an_answer_that_the_judge_cannot_grade_is_not_shown(judge):
    assert run(Models(["one"], [judge])).arm == "fallback"


def test_an_evaluation_validates_like_the_service_and_reports_a_refusal_as_a_failure():
    result = run(Models(["one"], [HIGH]), chain="primary")
    assert (result.output, result.failure) == (None, FailureCode.OUTPUT_INVALID)
    assert (result.raw_text, result.guarded) == ("one", ("promise",))
    assert run(Models(["one", "two"], [MEDIUM, FINE]), chain="primary").repaired


@pytest.mark.parametrize("task", ["judged", "guarded"])
def test_a_repair_that_wants_a_tool_used_is_taken_up_and_what_follows_is_checked(task):
    class Talking(Careful if task == "judged" else Guarded):
        def steps(self, inputs, pair):
            turns = ()
            while True:
                said = yield Question(
                    values=self.values(inputs), document=inputs, read=str.strip, turns=turns, tools=True
                )
                if not said.uses:
                    return said.output
                outcome = yield said.uses[0]
                turns = (*turns, ToolTurn(text=said.output, uses=said.uses, contents=(outcome.content,)))

    wants = (Use(tool="find_fee", arguments={}, call_id="1"),)
    models = Models(["It is $5", wants, "So it is $5"], [MEDIUM, FINE])
    result = run(models, Talking())
    assert (result.output, [step.name for step in result.trace if step.kind == "tool"]) == ("So it is $5", ["find_fee"])
    assert models.asked == (
        ["writer", "judge", "writer", "writer", "judge"] if task == "judged" else ["writer", "writer", "writer"]
    )


def test_what_code_wrote_is_not_asked_for_again():
    models = Models([], [MEDIUM])
    assert run(models, model="code").arm == "fallback"
    assert models.asked == ["code", "judge"]


def test_the_steps_of_a_validation_count_as_steps_of_the_run():
    class Endless(Careful):
        def validate(self, inputs, pair, answer, seen):
            while True:
                yield Use(tool="find_fee", arguments={})

    result = run(Models(["one"]), Endless(), chain="primary")
    assert (result.failure, len(result.trace)) == (FailureCode.OUTPUT_INVALID, Endless.most_steps)


def test_a_validation_sees_what_the_run_has_seen():
    class Looking(Careful):
        def validate(self, inputs, pair, answer, seen):
            looked.extend((step.kind, step.name, step.content) for step in seen)
            return (yield from ()) or ()

    looked = []
    run(Models(["one"]), Looking())
    assert looked == [("tool", "find_fee", '{"fee": "5"}'), ("model", "main", "one")]


def test_a_task_may_turn_a_refusal_into_an_answer_of_its_own():
    class HandsOver(Careful):
        def steps(self, inputs, pair):
            try:
                return (yield from super().steps(inputs, pair))
            except OutputInvalid:
                return "I connect you."

    result = run(Models(["one"], [HIGH]), HandsOver())
    assert (result.output, result.arm, result.guarded) == ("I connect you.", "primary", ("promise",))


def test_a_guard_sees_the_outcomes_of_tools():
    assert run(Models(["It is $5"]), Guarded()).guarded == ()
    assert run(Models(["It is $9", "It is $5"]), Guarded()).guarded == ("fee",)


def test_a_guards_findings_are_graded(events):
    low = run(Models(["It is five."]), Guarded())
    assert (low.output, low.guarded, low.repaired) == ("It is five.", ("no fee",), False)
    models = Models(["It is $9", "It is five."])
    medium = run(models, Guarded())
    assert (medium.output, medium.repaired, medium.guarded) == ("It is five.", True, ("fee", "no fee"))
    assert '"It is $9" Write the whole' in models.calls[1].messages[-1].content
    models = Models(["It is $9, idiot"])
    assert run(models, Guarded()).arm == "fallback"
    assert models.asked == ["writer"]
    severities = [fields["severity"] for event, fields in events if event is Event.GUARD_TRIGGERED]
    assert severities == ["low", "medium", "low", "high"]


def test_a_guard_is_no_part_of_an_evaluation():
    assert run(Models(["It is $9, idiot"]), Guarded(), chain="primary").output == "It is $9, idiot"


def test_what_guard_and_judge_find_shares_the_one_repair():
    class Both(Guarded):
        validate = Careful.validate

    models = Models(["It is $9", "It is $5"], [MEDIUM])
    assert run(models, Both()).arm == "fallback"
    assert models.asked == ["writer", "writer", "judge"]
