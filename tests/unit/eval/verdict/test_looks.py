"""Further looks at a growing evidence: who gets them, how many, and at which price."""

from contextlib import closing
from types import SimpleNamespace
from typing import ClassVar

import pytest
from pydantic import BaseModel

from eval.run.answering import DEFAULT_BUDGET, InterimLooks, RunAnswers
from eval.run.reply_cache import ReplyCache
from eval.run.runner import Runner
from eval.spine.cases import Case, Dataset
from eval.spine.results import Verdict
from service.core.llm.model_call import ModelReply
from service.core.llm.pricing import Usage
from service.core.run.task import Task
from service.core.unit.cards import ModelCard, ModelCards
from service.core.unit.pair import OutputRules, Pair, PromptMessage, Sampling, ServingPolicy

CARDS = ModelCards([ModelCard(id="main", short_name="main", wire="bedrock", runs="local", context_tokens=9)])


def pair(name, temperature):
    return Pair(
        name=name,
        task="t",
        version="1",
        model="main",
        backup=None,
        sampling=Sampling(max_output_tokens=9, temperature=temperature),
        output=OutputRules(schema="s", max_words=9),
        serving=ServingPolicy(),
        messages=(PromptMessage(role="user", content=name),),
        variables=(),
    )


WARM, COLD = pair("warm", 0.4), pair("cold", 0.0)


def evaluation(verdict, is_production=False):
    return SimpleNamespace(
        pairs=[
            SimpleNamespace(pair_digest=p.digest, is_production=is_production, gate=SimpleNamespace(verdict=verdict))
            for p in (WARM, COLD)
        ]
    )


def test_an_undecided_pair_that_samples_is_asked_again_until_the_budget_is_spent():
    looks = InterimLooks.plan([WARM, COLD], CARDS, None)
    asked = [looks.undecided(evaluation(Verdict.INCONCLUSIVE), [WARM, COLD]) for _ in range(DEFAULT_BUDGET + 1)]
    assert asked == [[WARM]] * DEFAULT_BUDGET + [[]]
    assert (looks.at(WARM).number, looks.at(COLD).number) == (DEFAULT_BUDGET + 1, 1)


@pytest.mark.parametrize("verdict", [Verdict.PASS, Verdict.FAIL])
def test_a_decided_pair_gets_no_further_look(verdict):
    assert InterimLooks.plan([WARM, COLD], CARDS, 3).undecided(evaluation(verdict), [WARM, COLD]) == []


def test_production_alone_gets_no_further_look():
    looks = InterimLooks.plan([WARM, COLD], CARDS, 3)
    assert looks.undecided(evaluation(Verdict.INCONCLUSIVE, is_production=True), [WARM, COLD]) == []


def test_every_planned_look_widens_the_intervals_from_the_first_on():
    looks = InterimLooks.plan([WARM, COLD], CARDS, 4)
    assert looks.at(WARM).confidence == pytest.approx(0.99)
    assert looks.at(COLD).confidence == 0.95
    assert InterimLooks.plan([WARM], CARDS, 0).at(WARM).confidence == 0.95


class Inputs(BaseModel):
    text: str


class Say(Task[Inputs]):
    name: ClassVar[str] = "t"
    input_model: ClassVar[type[BaseModel]] = Inputs
    variables: ClassVar[frozenset[str]] = frozenset()

    def values(self, inputs):
        return {}

    def check(self, text, rules):
        return text


class Gateway:
    async def complete(self, call):
        return ModelReply(text="x", usage=Usage(), stop_reason="end_turn", latency_ms=1.0, answered_by="main")


class Models:
    def gateway(self, pairs):
        return Gateway()


class NoScoring:
    def submit(self, item):
        return None

    def collect(self, items):
        return list(items)


def test_production_joins_a_run_and_a_further_look_asks_only_the_undecided_pair(tmp_path):
    cases = tuple(Case(id=f"case-{n}", inputs={"text": str(n)}) for n in range(5))
    with closing(ReplyCache(tmp_path)) as cache:
        runner = Runner(task=Say(), gateway=Gateway(), cards=CARDS, cache=cache, run_id="r", concurrency=2, spacing_s=0)
        answers = RunAnswers(
            runner=runner,
            models=Models(),
            scoring=NoScoring(),
            dataset=Dataset(name="d", cases=cases, source="s"),
            repeats=2,
        )
        asked = answers.ask([WARM], lambda: SimpleNamespace(pair=COLD))
        assert [pair.name for pair in asked] == ["warm", "cold"]
        answers.ask_again([WARM])
    answers = answers.graded({key: item.results for key, item in answers.by_arm.items()})
    assert [item.repeat for item in answers.results(WARM)] == [0] * 5 + [1] * 5 + [2] * 5
    assert [item.repeat for item in answers.results(COLD)] == [0] * 5 + [1] * 5
    assert answers.results(WARM, "backup") == []
