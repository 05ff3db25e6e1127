import asyncio
import random
from dataclasses import replace

import pytest
from pydantic import BaseModel

from eval.run.reply_cache import ReplyCache
from eval.selftest.gateways import FaultyGateway, KeptAnswers, RememberingGateway, ScriptedGateway, by_document
from eval.selftest.mutant import Habit, Mutant, MutantPlan
from eval.spine.cases import Case, Expectations
from service.core.llm.model_call import ModelCall, ModelReply
from service.core.llm.pricing import Usage
from service.core.unit.pair import PromptMessage, Sampling, ToolSpec
from service.core.unit.question import ToolTurn, Use
from service.kit.frame.errors import ConfigurationError, RequestRejected


class Inputs(BaseModel):
    text: str


CASE = Case(
    id="case-1",
    inputs={"text": "owes 40"},
    expectations=Expectations.model_validate(
        {"facts": [{"statement": "It is due", "accepted": ["due"], "interaction_id": "i1", "span": "due nov 3"}]}
    ),
)
PLAN = MutantPlan(
    mutants=(),
    pairs={},
    good=lambda text, case, draws: f"Owes $40. It is due. {draws.randrange(10**6)}",
    habits=(Habit(instruction="No bold.", doctor=lambda text, case, draws: f"**{text}**"),),
    lost="Nothing to say.",
    shown=lambda case: ("owes 40 to us since long, and it is", "due nov 3"),
)
WHOLE = "owes 40 to us since long, and it is\ndue nov 3"


def call(history=WHOLE, system="No bold.", **changes):
    messages = (PromptMessage(role="system", content=system), PromptMessage(role="user", content=history))
    fixed = {"model": "m", "messages": messages, "sampling": Sampling(max_output_tokens=9), "timeout_s": 1.0}
    return ModelCall(**fixed | {"document": Inputs(text="owes 40")} | changes)


def documents(case):
    return [Inputs.model_validate(case.inputs)]


def scripted(seed=1):
    return ScriptedGateway(PLAN, by_document([CASE], [CASE], documents), seed=seed, answered_by="scripted")


async def test_the_same_seed_gives_the_same_answer_and_another_seed_another():
    first, again, other = [await scripted(seed).complete(call()) for seed in (1, 1, 2)]
    assert first == again
    assert first.text != other.text
    assert first.latency_ms != other.latency_ms


async def test_it_says_only_what_the_prompt_shows():
    assert (await scripted().complete(call("hello"))).text == "Nothing to say."
    partly = (await scripted().complete(call(WHOLE.split("\n")[0]))).text
    assert "due" not in partly
    assert "Owes $40." in partly


async def test_it_falls_into_its_habit_where_the_system_message_does_not_forbid_it():
    assert (await scripted().complete(call(system="Sing."))).text.startswith("**")


async def test_a_cached_prefix_is_written_once_and_then_read():
    gateway = scripted()
    first = (await gateway.complete(call(system="No bold." * 50, cache_prefix=True))).usage
    second = (await gateway.complete(call(system="No bold." * 50, cache_prefix=True))).usage
    assert (first.cache_write_tokens, first.cache_read_tokens) == (100, 0)
    assert (second.cache_write_tokens, second.cache_read_tokens) == (0, 100)
    assert first.prompt_tokens == second.prompt_tokens


class Counting:
    def __init__(self):
        self.calls = 0

    async def complete(self, call):
        self.calls += 1
        return ModelReply(
            text=f"answer {self.calls}",
            usage=Usage(),
            stop_reason="end_turn",
            latency_ms=10.0,
            answered_by="m",
        )


class Slow(Counting):
    async def complete(self, call):
        await asyncio.sleep(0.01)
        return await super().complete(call)


async def test_a_real_model_is_asked_each_question_once():
    inner = Counting()
    gateway = RememberingGateway(inner)
    assert await gateway.complete(call()) == await gateway.complete(call())
    await gateway.complete(call("another"))
    assert inner.calls == 2


async def test_two_calls_at_a_time_ask_one_question_once():
    inner = Slow()
    gateway = RememberingGateway(inner)
    first, second = await asyncio.gather(gateway.complete(call()), gateway.complete(call()))
    assert first == second
    assert inner.calls == 1


def kept(folder, run_id="1", about="seed 1", **changes):
    return KeptAnswers(ReplyCache(folder), about=about, run_id=run_id, **changes)


async def test_an_interrupted_self_test_goes_on_with_the_answers_it_has(tmp_path):
    said = []
    before = kept(tmp_path, say=said.append)
    first = RememberingGateway(Counting(), before)
    answers = [await first.complete(call(f"history {number}")) for number in range(20)]
    before.close()
    assert said == ["  20 calls made, their answers kept"]
    inner = Counting()
    again = RememberingGateway(inner, kept(tmp_path, "2"))
    assert [await again.complete(call(f"history {number}")) for number in range(20)] == answers
    # The wire does not carry the document: equal messages are one question.
    await again.complete(call("history 1", document=Inputs(text="another case")))
    assert inner.calls == 0


@pytest.mark.parametrize("changes", [{"about": "seed 2"}, {"fresh": True}])
async def test_another_seed_and_a_fresh_self_test_ask_anew(tmp_path, changes):
    before = kept(tmp_path)
    await RememberingGateway(Counting(), before).complete(call())
    before.close()
    inner = Counting()
    gateway = RememberingGateway(inner, kept(tmp_path, "2", **changes))
    await gateway.complete(call())
    await gateway.complete(call())
    assert inner.calls == 1


async def test_another_prompt_is_another_question(tmp_path):
    inner = Counting()
    gateway = RememberingGateway(inner, kept(tmp_path))
    await gateway.complete(call())
    await gateway.complete(call(system="Sing."))
    assert inner.calls == 2


async def test_a_fault_is_planted_in_the_reply_and_repeats_for_its_seed():
    mutant = Mutant(
        name="m",
        does="d",
        targets=("t",),
        doctor=lambda text, case, draws: f"{text} {case.id} {draws.random()}",
        edit_reply=lambda reply: replace(reply, latency_ms=99.0),
    )
    known = by_document([CASE], [CASE], documents)
    reply = await FaultyGateway(Counting(), mutant, known, seed=3).complete(call())
    assert reply.text == f"answer 1 case-1 {random.Random('m:3:case-1').random()}"
    assert reply.latency_ms == 99.0


async def test_a_call_without_the_tasks_inputs_is_refused():
    with pytest.raises(RequestRejected, match="does not carry"):
        await scripted().complete(call(document="text"))


FIND = ToolSpec(name="find", description="Find.", arguments={"type": "object"})
LOOKED = ToolTurn(text="", uses=(Use(tool="find", arguments={}),), contents=("{}",))


def using_tools():
    """A scripted system that looks something up before it answers."""
    uses = lambda call, case: () if call.turns else LOOKED.uses  # noqa: E731 - read like the plan's other fields
    plan = replace(PLAN, uses=uses)
    return ScriptedGateway(plan, by_document([CASE], [CASE], documents), seed=1, answered_by="scripted")


async def test_the_scripted_system_uses_a_tool_and_then_answers():
    first, second = [await using_tools().complete(call(tools=(FIND,), turns=turns)) for turns in ((), (LOOKED,))]
    assert (first.text, first.uses, first.stop_reason) == ("", LOOKED.uses, "tool_use")
    assert (second.uses, second.stop_reason) == ((), "end_turn")
    assert second.text.startswith("Owes $40.")


async def test_remembered_answers_tell_the_turns_of_a_run_apart():
    gateway = RememberingGateway(using_tools())
    replies = [await gateway.complete(call(tools=(FIND,), turns=turns)) for turns in ((), (LOOKED,), ())]
    assert [bool(reply.uses) for reply in replies] == [True, False, True]


async def test_a_fault_in_the_answer_leaves_the_uses_before_it_alone():
    mutant = Mutant(name="m", does="d", targets=(), doctor=lambda text, case, draws: "spoilt")
    gateway = FaultyGateway(using_tools(), mutant, by_document([CASE], [CASE], documents), seed=1)
    first, second = [await gateway.complete(call(tools=(FIND,), turns=turns)) for turns in ((), (LOOKED,))]
    assert (first.text, first.uses, second.text) == ("", LOOKED.uses, "spoilt")


async def test_a_part_of_the_pair_answers_as_the_plan_says_and_no_fault_is_planted_there():
    plan = replace(PLAN, parts={"judge": lambda call: f"graded: {call.messages[-1].content}"})
    cases = by_document([CASE], [CASE], documents)
    inner = RememberingGateway(ScriptedGateway(plan, cases, seed=1, answered_by="scripted"))
    mutant = Mutant(name="m", does="d", targets=(), doctor=lambda text, case, draws: "spoilt")
    gateway = FaultyGateway(inner, mutant, cases, seed=1)
    graded, again, answer = [
        await gateway.complete(asked)
        for asked in (call("x", part="judge", document="x"), call("y", part="judge", document="y"), call())
    ]
    assert (graded.text, again.text, answer.text) == ("graded: x", "graded: y", "spoilt")


async def test_a_part_that_the_plan_forgot_is_named():
    with pytest.raises(ConfigurationError, match="asks part 'judge' of the pair"):
        await scripted().complete(call(part="judge", document="x"))
