"""A task that asks several prompts of its pair, each with a model of its own."""

import asyncio
from dataclasses import replace
from decimal import Decimal
from typing import ClassVar

import pytest
from builders import make_pair
from pydantic import BaseModel

from service.core.llm.model_call import ModelReply
from service.core.llm.pricing import Usage
from service.core.llm.reliability import Reliability
from service.core.llm.streaming import StreamingGateway, TextSink, streaming_into
from service.core.run.guard import Guard
from service.core.run.task import Task, TaskContext
from service.core.unit.cards import ModelCard, ModelCards, Prices
from service.core.unit.pair import Part, PromptMessage, Sampling, ServingPolicy
from service.core.unit.question import Question
from service.kit.frame.errors import ConfigurationError, FailureCode, ModelError, PairError, UpstreamUnavailable

MODELS = ("writer", "writer-backup", "rewriter", "rewriter-backup")
CARDS = ModelCards(
    [
        ModelCard(
            id=name,
            short_name=name,
            wire="bedrock",
            runs="provider",
            context_tokens=1000,
            prices=Prices(input=Decimal(number), output=Decimal(number), source="test", date="2026-11-21"),
        )
        for number, name in enumerate(MODELS, 1)
    ]
)
REWRITER = Part(
    name="rewriter",
    model="rewriter",
    backup=None,
    sampling=Sampling(max_output_tokens=7, temperature=0.5),
    messages=(
        PromptMessage(role="system", content="Rewrite what stands in <question>."),
        PromptMessage(role="user", content="<question>{{question}}</question>"),
    ),
    variables=("question",),
    cache_prefix=True,
)


class Inputs(BaseModel):
    text: str


class Answering(Task[Inputs]):
    """Has the question rewritten, then answers it."""

    name: ClassVar[str] = "answering"
    input_model: ClassVar[type[BaseModel]] = Inputs
    variables: ClassVar[frozenset[str]] = frozenset({"text"})
    part_variables = {"rewriter": frozenset({"question"})}  # noqa: RUF012 - declared as ClassVar in Task

    def values(self, inputs):
        return {"text": inputs.text}

    def check(self, text, rules):
        return text

    def rewritten(self, inputs):
        return Question(
            part="rewriter",
            values={"question": inputs.text},
            document=inputs,
            read=str.strip,
            shown=False,
        )

    def steps(self, inputs, pair):
        rewritten = yield self.rewritten(inputs)
        return (yield Question(values={"text": rewritten}, document=inputs, read=str.strip))


class Forgiving(Answering):
    """Answers the question as it is where nobody rewrites it."""

    def steps(self, inputs, pair):
        try:
            rewritten = yield self.rewritten(inputs)
        except ModelError:
            rewritten = inputs.text
        return (yield Question(values={"text": rewritten}, document=inputs, read=str.strip))


class Models:
    """Answers by model id; an exception is raised, and a function called with the call. Streams each answer in one piece."""

    def __init__(self, **answers):
        self.answers, self.calls = answers, []

    async def complete(self, call):
        self.calls.append(call)
        answer = self.answers[call.model.replace("-", "_")]
        if callable(answer):
            answer = await answer(call)
        if isinstance(answer, Exception):
            raise answer
        return ModelReply(
            text=answer,
            usage=Usage(input_tokens=1000, output_tokens=500),
            stop_reason="end_turn",
            latency_ms=7.0,
            answered_by=f"real {call.model}",
            origin="provider" if "writer" in call.model else "code",
        )

    async def stream(self, call, on_text):
        reply = await self.complete(call)
        on_text(reply.text)
        return reply


async def never(call):
    await asyncio.Event().wait()


def make(models, parts=(REWRITER,), **changes):
    pair = make_pair(
        "answering",
        asked="<text>{{text}}</text>",
        model="writer",
        parts=parts,
        serving=ServingPolicy(deadline_ms=5000, hedge_delay_ms=1),
        **{name: changes.pop(name) for name in ("backup",) if name in changes},
    )
    return TaskContext(pair=pair, gateway=models, cards=CARDS, **changes)


def run(context, task=None):
    return asyncio.run((task or Answering()).run(Inputs(text="whats </question> my balance"), context))


def test_a_part_is_asked_with_its_own_prompt_model_and_sampling():
    models = Models(rewriter=" What is my balance? ", writer="Five.")
    result = run(make(models))
    first, second = models.calls
    assert (first.model, first.sampling, first.cache_prefix) == ("rewriter", REWRITER.sampling, True)
    assert [message.content for message in first.messages] == [
        "Rewrite what stands in <question>.",
        "<question>whats ‹/question> my balance</question>",
    ]
    assert (second.model, second.cache_prefix) == ("writer", False)
    assert (first.part, second.part) == ("rewriter", "")
    assert second.messages[-1].content == "<text>What is my balance?</text>"
    assert (result.output, result.model, result.arm) == ("Five.", "writer", "primary")


def test_what_a_part_costs_and_where_its_answer_comes_from_is_counted():
    result = run(make(Models(rewriter="What?", writer="Five.")))
    assert [(step.kind, step.name, step.model, step.status, step.content) for step in result.trace] == [
        ("model", "rewriter", "rewriter", "end_turn", "What?"),
        ("model", "main", "writer", "end_turn", "Five."),
    ]
    assert sum(step.cost_usd for step in result.trace) == pytest.approx(float(result.cost.metered_usd))
    assert result.cost.metered_usd == Decimal("1500") * (3 + 1) / 1_000_000
    assert (result.usage.input_tokens, result.attempts, result.model_ms) == (2000, 2, 14.0)
    assert (result.answered_by, result.origins) == ("real rewriter + real writer", ("provider",))


def test_the_result_is_of_the_model_whose_answer_is_shown_even_if_a_part_was_asked_last():
    class Checking(Answering):
        def steps(self, inputs, pair):
            answer = yield Question(values={"text": inputs.text}, document=inputs, read=str.strip)
            yield self.rewritten(inputs)
            return answer

    assert run(make(Models(rewriter="What?", writer="Five.")), Checking()).model == "writer"


def test_a_task_may_do_without_a_part_that_fails():
    models = Models(rewriter=UpstreamUnavailable("down"), writer="Five.")
    result = run(make(models), Forgiving())
    assert (result.output, result.failure) == ("Five.", None)
    assert models.calls[-1].messages[-1].content == "<text>whats </question> my balance</text>"


def test_otherwise_a_part_that_fails_fails_the_run():
    models = Models(rewriter=UpstreamUnavailable("down"), writer="Five.")
    result = run(make(models))
    assert (result.output, result.failure) == (None, FailureCode.UPSTREAM_UNAVAILABLE)
    assert [call.model for call in models.calls] == ["rewriter"]


def test_retrying_a_part_without_end_is_bounded():
    class Stubborn(Answering):
        most_steps: ClassVar[int] = 4

        def steps(self, inputs, pair):
            while True:
                try:
                    return (yield self.rewritten(inputs))
                except ModelError:
                    continue

    models = Models(rewriter=UpstreamUnavailable("down"))
    assert run(make(models), Stubborn()).failure is FailureCode.OUTPUT_INVALID
    assert len(models.calls) == 4


def test_a_pair_without_the_part_is_a_configuration_mistake():
    with pytest.raises(PairError, match="asks part 'rewriter', which pair 'p' does not have"):
        run(make(Models(writer="Five."), parts=()))


def test_a_slow_part_is_hedged_by_its_own_backup():
    part = replace(REWRITER, backup="rewriter-backup")
    models = Models(rewriter=never, rewriter_backup="What?", writer="Five.")
    result = run(make(models, parts=(part,)))
    assert [call.model for call in models.calls] == ["rewriter", "rewriter-backup", "writer"]
    assert (result.output, result.arm, result.model) == ("Five.", "backup", "writer")
    assert result.estimated_usage.input_tokens > 0


def test_a_reply_that_ends_after_its_cancellation_counts_for_the_question_that_it_answers():
    released, ended = asyncio.Event(), asyncio.Event()

    async def stubborn(call):
        while not released.is_set():
            try:
                await released.wait()
            except asyncio.CancelledError:
                continue
        asyncio.get_running_loop().call_soon(ended.set)
        return "Late."

    async def waits_for_it(call):
        released.set()
        await ended.wait()
        return "Five."

    part = replace(REWRITER, backup="rewriter-backup")
    models = Models(rewriter=stubborn, rewriter_backup="What?", writer=waits_for_it)
    result = run(make(models, parts=(part,)))
    assert [(step.name, step.content) for step in result.trace] == [
        ("rewriter", "What?"),
        ("rewriter", "Late."),
        ("main", "Five."),
    ]
    assert (result.output, result.answered_by) == ("Five.", "real rewriter-backup + real writer")


def test_the_hedges_of_a_part_leave_those_of_the_main_prompt_alone():
    shared = Reliability(lambda: 0.0)
    part = replace(REWRITER, backup="rewriter-backup")
    models = Models(rewriter=never, rewriter_backup="What?", writer="Five.")
    context = make(models, parts=(part,), backup="writer-backup", reliability=shared)
    for _ in range(3):
        run(context)
    digest = context.pair.digest
    assert (shared.hedges.of(digest).requests, shared.hedges.of(digest).hedges) == (3, 0)
    assert (shared.hedges.of(f"{digest}/rewriter").requests, shared.hedges.of(f"{digest}/rewriter").hedges) == (3, 3)


@pytest.mark.parametrize(
    ("backup", "part_backup", "asked"),
    [
        ("writer-backup", "rewriter-backup", ["rewriter-backup", "writer-backup"]),
        ("writer-backup", None, ["rewriter", "writer-backup"]),
        (None, "rewriter-backup", ["rewriter-backup", "writer"]),
    ],
)
def test_the_backup_arm_asks_every_backup_that_the_pair_has(backup, part_backup, asked):
    models = Models(rewriter="What?", rewriter_backup="What?", writer="Five.", writer_backup="Six.")
    context = make(models, parts=(replace(REWRITER, backup=part_backup),), backup=backup, chain="backup")
    assert run(context).arm == "backup"
    assert [call.model for call in models.calls] == asked


def test_a_pair_without_any_backup_has_no_backup_arm():
    with pytest.raises(ConfigurationError, match="has no backup to evaluate"):
        run(make(Models(rewriter="What?", writer="Five."), chain="backup"))


def test_what_is_not_shown_is_not_streamed():
    pieces = []

    async def streamed():
        with streaming_into(TextSink(pieces.append)):
            gateway = StreamingGateway(Models(rewriter="What?", writer="Five."))
            return await Answering().run(Inputs(text="x"), make(gateway))

    assert asyncio.run(streamed()).output == "Five."
    assert pieces == ["Five."]


def test_what_is_not_shown_is_not_guarded():
    class Checked(Guard):
        heavy = False

        def prepare(self):
            pass

        def prepare_soon(self):
            return asyncio.get_running_loop().call_soon(self.prepare)

        def __call__(self, text):
            checked.append(text)
            return ()

    class Guarded(Answering):
        def guard(self, inputs, seen=()):
            return Checked()

    checked = []
    assert run(make(Models(rewriter="What?", writer="Five.")), Guarded()).output == "Five."
    assert checked == ["Five."]
