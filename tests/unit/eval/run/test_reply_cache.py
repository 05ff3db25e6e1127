"""Stored replies: their origin, and where they may answer again."""

import json
from contextlib import closing

import pytest

from eval.run.reply_cache import CachingGateway, ReplyCache
from service.llm.model_call import ModelCall, ModelReply
from service.llm.pricing import Usage
from service.pair import Message, Sampling

CALL = ModelCall(
    model="amazon.x",
    messages=(Message(role="user", content="u"),),
    sampling=Sampling(max_output_tokens=7),
    timeout_s=1.0,
)


class Gateway:
    """Answers with one origin, which it states beforehand."""

    def __init__(self, origin):
        self.origin, self.calls = origin, 0

    def origins_of(self, model):
        return frozenset({self.origin})

    def server_of(self, model):
        return None

    async def complete(self, call):
        self.calls += 1
        return ModelReply(
            text=self.origin,
            usage=Usage(input_tokens=1),
            stop_reason="end_turn",
            latency_ms=1.0,
            answered_by="somebody",
            origin=self.origin,
        )


async def ask(folder, inner, run_id="run-1"):
    with closing(ReplyCache(folder)) as cache:
        gateway = CachingGateway(inner, cache, run_id, "pair", "inputs", 0)
        return await gateway.complete(CALL)


async def test_a_stored_reply_keeps_its_origin(tmp_path):
    provider = Gateway("provider")
    await ask(tmp_path, provider)
    assert (await ask(tmp_path, provider, "run-2")).origin == "provider"
    assert provider.calls == 1


@pytest.mark.parametrize(
    ("first", "then"), [("stand-in", "provider"), ("provider", "stand-in"), ("endpoint", "provider")]
)
async def test_a_reply_never_answers_for_another_origin(tmp_path, first, then):
    await ask(tmp_path, Gateway(first))
    assert (await ask(tmp_path, Gateway(then), "run-2")).origin == then


@pytest.mark.parametrize(
    ("answered_by", "origin"), [("SmolLM2-135M-Instruct-Q4_1", "stand-in"), ("echo", "stand-in"), ("nova-lite", None)]
)
async def test_an_older_reply_counts_only_if_its_origin_is_known(tmp_path, answered_by, origin):
    await ask(tmp_path, Gateway("stand-in"))
    (path,) = tmp_path.glob("*.jsonl")
    stored = json.loads(path.read_text())
    del stored["reply"]["origin"]
    stored["reply"]["answered_by"] = answered_by
    path.write_text(json.dumps(stored) + "\n")
    found = ReplyCache(tmp_path).get(stored["key"])
    assert (found and found.reply.origin) == origin
