from decimal import Decimal
from typing import ClassVar

import pytest
from builders import make_pair
from pydantic import BaseModel

from service.api.http.access import scope_of
from service.core.llm.failures import charged
from service.core.llm.model_call import ModelReply
from service.core.llm.pricing import Usage
from service.core.run.task import Task, TaskContext, load_task, task_names
from service.core.unit.cards import ModelCard, ModelCards, Prices
from service.core.unit.pair import OutputRules
from service.kit.frame.errors import (
    ConfigurationError,
    FailureCode,
    OutputInvalid,
    PairError,
    QuotaExceeded,
    SafetyRefused,
    UpstreamUnavailable,
)

PRICES = Prices(input=Decimal(1), output=Decimal(2), source="test", date="2026-11-21")
CARDS = ModelCards(
    [
        ModelCard(id=name, short_name=name, wire="bedrock", runs="provider", context_tokens=1000, prices=PRICES)
        for name in ("main", "spare")
    ]
    + [ModelCard(id="code", short_name="code", wire="in_process", runs="local", context_tokens=1000, prices=PRICES)]
)


class Inputs(BaseModel):
    text: str


class Shout(Task[Inputs]):
    name: ClassVar[str] = "shout"
    input_model: ClassVar[type[BaseModel]] = Inputs
    variables: ClassVar[frozenset[str]] = frozenset({"text"})
    in_process: ClassVar = {"code": lambda document: document.text}
    fallback_model = "code"

    def values(self, inputs):
        return {"text": inputs.text}

    def check(self, text, rules):
        if text != text.upper():
            raise OutputInvalid("the answer is not shouted")
        return text

    def without_model(self, inputs):
        return "" if not inputs.text else None


class Scripted:
    def __init__(self, **script):
        self.script = script
        self.asked = []

    async def complete(self, call):
        self.asked.append((call.model, call.messages[-1].content))
        step = self.script[call.model]
        if isinstance(step, Exception):
            raise step
        if isinstance(step, ModelReply):
            return step
        return reply(step)


def reply(text, stop_reason="end_turn"):
    usage = Usage(input_tokens=1_000_000, output_tokens=500_000)
    return ModelReply(text=text, usage=usage, stop_reason=stop_reason, latency_ms=7.0, answered_by="what answered")


def context(gateway, *, backup="spare", chain="serve"):
    pair = make_pair("shout", asked="<text>{{text}}</text>", model="main", backup=backup)
    return TaskContext(pair=pair, gateway=gateway, cards=CARDS, chain=chain)


async def test_the_primary_answers_and_is_metered():
    gateway = Scripted(main="HI")
    result = await Shout().run(Inputs(text="hi"), context(gateway))
    assert (result.output, result.arm, result.model, result.answered_by, result.failure) == (
        "HI",
        "primary",
        "main",
        "what answered",
        None,
    )
    assert result.cost.metered_usd == Decimal(2)
    assert gateway.asked == [("main", "<text>hi</text>")]


@pytest.mark.parametrize(
    "broken", [UpstreamUnavailable("down"), QuotaExceeded("busy"), "not shouted", reply("CUT", "max_tokens")]
)
async def test_any_bad_answer_goes_to_the_backup(broken):
    result = await Shout().run(Inputs(text="hi"), context(Scripted(main=broken, spare="HI"), chain="serve"))
    assert (result.output, result.arm, result.degraded) == ("HI", "backup", False)


async def test_a_rejected_answer_counts_in_the_cost():
    result = await Shout().run(Inputs(text="hi"), context(Scripted(main="nope", spare="HI")))
    assert result.cost.metered_usd == Decimal(4)


async def test_the_tasks_own_fallback_answers_last():
    down = UpstreamUnavailable("down")
    # "hi" is not shouted: the fallback is valid by construction, the pair's rules are for its models.
    result = await Shout().run(Inputs(text="hi"), context(Scripted(main=down, spare=down)))
    assert (result.output, result.arm, result.model, result.degraded) == ("hi", "fallback", "code", True)


@pytest.mark.parametrize(("chain", "model"), [("primary", "main"), ("backup", "spare")])
async def test_an_evaluation_of_one_arm_never_uses_another(chain, model):
    down = UpstreamUnavailable("down")
    gateway = Scripted(main=down, spare=down)
    result = await Shout().run(Inputs(text="hi"), context(gateway, chain=chain))
    assert (result.output, result.failure, result.model, result.arm) == (
        None,
        FailureCode.UPSTREAM_UNAVAILABLE,
        model,
        chain,
    )
    assert [asked for asked, _ in gateway.asked] == [model]


async def test_a_failure_keeps_the_models_answer_as_raw_text():
    result = await Shout().run(Inputs(text="hi"), context(Scripted(main="quiet"), chain="primary"))
    assert (result.failure, result.raw_text) == (FailureCode.OUTPUT_INVALID, "quiet")
    assert result.answered_by == "what answered"
    assert "quiet" not in result.failure_message


async def test_an_answer_that_the_provider_withholds_counts_in_the_cost():
    refused = charged(SafetyRefused("main refused to answer"), reply("half an answer"))
    result = await Shout().run(Inputs(text="hi"), context(Scripted(main=refused), chain="primary"))
    assert (result.failure, result.cost.metered_usd) == (FailureCode.FAILED_SAFETY_GUIDELINES, Decimal(2))
    assert [(step.status, step.cost_usd) for step in result.trace] == [("unusable", 2.0)]


async def test_inputs_that_need_no_model_cost_nothing():
    gateway = Scripted()
    result = await Shout().run(Inputs(text=""), context(gateway))
    assert (result.output, result.model, result.cost.metered_usd, gateway.asked) == ("", "none", 0, [])


async def test_a_backup_that_does_not_exist_cannot_be_evaluated():
    with pytest.raises(ConfigurationError, match="no backup"):
        await Shout().run(Inputs(text="hi"), context(Scripted(), backup=None, chain="backup"))


async def test_a_pair_of_another_task_raises_instead_of_a_failure():
    class Other(Shout):
        def values(self, inputs):
            return {}

    with pytest.raises(PairError, match="needs values for text"):
        await Other().run(Inputs(text="hi"), context(Scripted(main="HI")))


def test_tasks_are_found_by_name():
    assert "summarize" in task_names()
    assert load_task("summarize").name == "summarize"
    with pytest.raises(ConfigurationError, match=r"no task 'sumarize'; tasks: .*summarize"):
        load_task("sumarize")


@pytest.mark.parametrize("name", ["forms", "pairs", "calls", "dashboards"])
def test_a_task_is_not_named_like_a_path_of_operators(name, monkeypatch):
    monkeypatch.setattr("service.core.run.task.task_names", lambda: [name, "summarize"])
    assert scope_of(f"/v1/{name}") == (name if name in ("forms", "calls") else "operator")
    with pytest.raises(ConfigurationError, match=f"no task can be named '{name}': /v1/{name} is for operators"):
        load_task(name)


def test_a_task_without_a_typed_output_and_a_check_of_its_own_says_what_it_needs():
    class Bare(Task):
        name = "bare"
        input_model = BaseModel
        variables = frozenset()

        def values(self, inputs):
            return {}

    with pytest.raises(NotImplementedError, match="task 'bare' needs an output_model or its own check"):
        Bare().check("text", OutputRules(schema="s", max_words=1))


def test_a_task_that_cannot_be_read_is_told_with_file_line_and_what_is_wrong(tmp_path, monkeypatch):
    (tmp_path / "broken.py").write_text('import re\n\nURGENT = re.compile("(now")\n', encoding="utf-8")
    monkeypatch.setattr("service.core.tasks.__path__", [str(tmp_path)])
    with pytest.raises(ConfigurationError) as told:
        load_task("broken")
    assert str(told.value).startswith("service/core/tasks/broken cannot be read: error: missing ), unterminated")
    assert f"in the regular expression '(now' (raised at {tmp_path.name}/broken.py:3)" in str(told.value)
