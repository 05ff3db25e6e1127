"""The HTTP body holds exactly the output that the runner scored, for the same pair and case, unless the guard spoke."""

import asyncio
from dataclasses import replace
from datetime import datetime

import pytest
from builders import runtime_of
from starlette.testclient import TestClient

from eval.run.reply_cache import ReplyCache
from eval.run.runner import ArmJob, Runner
from eval.spine.cases import load_cases
from service.app import create_app
from service.core.llm.gateway import LiteLLMGateway
from service.core.llm.model_call import ModelReply
from service.core.llm.pricing import Usage
from service.core.release.served import PairSourceStatus, ServedPair
from service.core.run.task import load_task
from service.core.tasks.summarize import SummarizeInputs
from service.core.tasks.summarize.history import history_text
from service.core.unit.cards import ModelCards
from service.core.unit.pair_file import load_pair
from service.interactions.reader import InteractionPage
from service.kit.settings import Settings

SETTINGS = Settings(crowded_from_s=0)
CARDS = ModelCards.load(SETTINGS.prompts_dir / "models.yaml")
TASK = load_task("summarize")
CASES = load_cases(SETTINGS.datasets_dir / "summarize" / "dev.jsonl", input_model=SummarizeInputs).cases


class Words:
    """A model that answers with words of the prompt it was sent: any difference in the prompt shows in the answer."""

    def __init__(self):
        self.code = LiteLLMGateway(CARDS, region="none", in_process=TASK.in_process)

    async def complete(self, call):
        if CARDS.get(call.model).wire == "in_process":
            return await self.code.complete(call)
        prompt = " ".join(message.content for message in call.messages)
        words = [word.strip("<>{}|#`[]") for word in prompt.split()]
        text = " ".join(word for word in words[::7] if word.isalnum())[-400:] + f" {len(prompt)} characters."
        return ModelReply(
            text=text, usage=Usage(output_tokens=9), stop_reason="end_turn", latency_ms=1.0, answered_by="words"
        )


class Stored:
    """The store: gives a case's interactions as DynamoDB would, filtered."""

    def __init__(self, case):
        self.inputs = SummarizeInputs.model_validate(case.inputs)

    async def history(self, account_number, history_filter, as_of):
        assert (account_number, as_of) == (self.inputs.account_number, self.inputs.as_of)
        return InteractionPage(
            interactions=tuple(history_filter.apply(list(self.inputs.interactions), as_of)), query="q"
        )


class Source:
    def __init__(self, pair):
        self.served = ServedPair(
            pair=pair, registry_version=1, sequence=1, released_at="t", released_by="me", source="registry"
        )

    def current(self):
        return self.served

    def status(self):
        return PairSourceStatus(served=self.served, last_refresh_at=None, last_error=None, age_s=None)

    def start(self):
        pass

    def stop(self):
        pass


class Unguarded(type(TASK)):
    def guard(self, inputs, seen=()):
        return None


class References(Words):
    """A model that answers each case with its reference: a truthful summary in other words than the source's."""

    def __init__(self):
        super().__init__()
        self.answers = {}
        for case in CASES:
            inputs = SummarizeInputs.model_validate(case.inputs)
            self.answers[history_text(inputs.visible())] = case.expectations.references[0]

    async def complete(self, call):
        reply = await super().complete(call)
        text = self.answers[history_text(call.document.visible())]
        return replace(reply, text=text)


def score(pair, cases, gateway, tmp_path):
    runner = Runner(task=TASK, gateway=gateway, cards=CARDS, cache=ReplyCache(tmp_path), run_id="r", concurrency=4)
    return asyncio.run(runner.run(ArmJob(pair=pair, arm="primary", cases=cases), lambda item, seconds: None))


def serve(pair, case, gateway, task=TASK):
    runtime = runtime_of(
        settings=SETTINGS,
        cards=CARDS,
        gateway=gateway,
        interactions=Stored(case),
        tasks={"summarize": task},
        pair_sources={"summarize": Source(pair)},
        now=lambda: datetime.fromisoformat(case.inputs["as_of"]),
        ids=lambda: "0123456789ab",
    )
    body = {key: value for key, value in case.inputs.items() if key not in ("as_of", "interactions")}
    with TestClient(create_app(SETTINGS, runtime)) as client:
        answer = client.post("/omni-channel-insights", json=body)
        generic = client.post("/v1/summarize", json=case.inputs)
    assert answer.status_code == 200, answer.text
    assert answer.json()["summary"] == generic.json()["output"]
    return answer.json()


def pair_named(name):
    return load_pair(SETTINGS.prompts_dir / "summarize" / f"{name}.prompty", cards=CARDS, task_variables=TASK.variables)


@pytest.mark.parametrize("name", ["extractive", "nova-lite", "smollm2-short"])
def test_the_http_body_is_the_runners_output(name, tmp_path):
    pair, cases = pair_named(name), CASES[::4]
    scored = score(pair, cases, Words(), tmp_path)
    assert len({item.result.output for item in scored if item.result.output}) > len(scored) / 2
    for case, item in zip(cases, scored, strict=True):
        assert item.result.output is not None
        # Words of the prompt are no truthful summary; what the guard does with them is the next test's.
        assert serve(pair, case, Words(), Unguarded())["summary"] == item.result.output


def test_what_the_guard_lets_pass_is_what_was_evaluated(tmp_path):
    pair, cases = pair_named("nova-lite"), CASES[::8]
    for case, item in zip(cases, score(pair, cases, References(), tmp_path), strict=True):
        served = serve(pair, case, References())
        assert served["summary"] == item.result.output
        assert not served["degraded"]


@pytest.mark.acceptance("promise-04")
def test_what_the_guard_refuses_is_scored_and_never_served(tmp_path):
    pair, cases = pair_named("nova-lite"), CASES[::8]
    for case, item in zip(cases, score(pair, cases, Words(), tmp_path), strict=True):
        served = serve(pair, case, Words())
        assert item.result.output is not None  # the evaluation sees what the model wrote
        assert served["summary"] != item.result.output
        assert served["degraded"]


class Echoes(References):
    """A model that ends a truthful summary with a sentence of its own prompt."""

    async def complete(self, call):
        reply = await super().complete(call)
        if CARDS.get(call.model).wire == "in_process":
            return reply
        return replace(
            reply, text=f"{reply.text} A closed ticket is not a solved problem when the customer writes again."
        )


def test_an_answer_that_repeats_its_prompt_is_never_served(tmp_path):
    pair = pair_named("nova-lite")
    sentence = "A closed ticket is not a solved problem when the customer writes"
    assert sentence in " ".join(message.content for message in pair.messages)
    served = serve(pair, CASES[0], Echoes())
    assert sentence not in served["summary"]
    assert served["degraded"]
