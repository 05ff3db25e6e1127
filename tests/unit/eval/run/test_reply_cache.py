"""Stored replies: their origin, and where they may answer again."""

import json
from contextlib import closing
from dataclasses import replace

import pytest

from eval.run.reply_cache import MOST_SILENT, MOST_THROTTLED, CachingGateway, ReplyCache
from eval.spine.errors import RunAborted
from eval.spine.results import Timing
from service.core.llm.model_call import ModelCall, ModelReply
from service.core.llm.pricing import Usage
from service.core.unit.pair import PromptMessage, Sampling
from service.kit.frame.errors import ModelError, ModelUnusable, QuotaExceeded, UpstreamUnavailable

CALL = ModelCall(
    model="amazon.x",
    messages=(PromptMessage(role="user", content="u"),),
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


async def timing_of(folder, run_id, *calls):
    """The timing of a run that makes ``calls`` in run ``run_id``."""
    with closing(ReplyCache(folder)) as cache:
        gateway = CachingGateway(Gateway("provider"), cache, run_id, "pair", "inputs", 0)
        for call in calls:
            await gateway.complete(call)
        return gateway.timing(10.0)


async def test_a_cached_reply_marks_only_its_own_call_as_not_live(tmp_path):
    first, second, third = (replace(CALL, messages=(PromptMessage(role="user", content=text),)) for text in "abc")
    assert await timing_of(tmp_path, "run-1", first) == Timing(ms=10.0, live=True)
    assert await timing_of(tmp_path, "run-2", first) == Timing(ms=10.0, live=False, measured_in="run-1")
    for order in ((first, second), (second, first)):
        folder = tmp_path / order[0].messages[0].content
        await timing_of(folder, "run-1", first)
        partly = await timing_of(folder, "run-2", *order)
        assert partly == Timing(ms=10.0, live=False)
        assert not partly.measures
        of_two = await timing_of(folder, "run-3", first, second)
        assert not of_two.measures  # made in run-1 and run-2
        assert (await timing_of(folder, "run-2", second, third)).live  # of this run, which was interrupted


async def test_each_timing_covers_the_calls_since_the_last(tmp_path):
    first, second = (replace(CALL, messages=(PromptMessage(role="user", content=text),)) for text in "ab")
    await timing_of(tmp_path, "run-1", first)
    with closing(ReplyCache(tmp_path)) as cache:
        gateway = CachingGateway(Gateway("provider"), cache, "run-2", "pair", "inputs", 0)
        await gateway.complete(first)
        turns = [gateway.timing(1.0)]
        await gateway.complete(second)
        turns += [gateway.timing(2.0), gateway.timing(3.0)]
        assert [(turn.ms, turn.live, turn.measured_in) for turn in turns] == [
            (1.0, False, "run-1"),
            (2.0, True, None),
            (3.0, True, None),
        ]
        assert not gateway.whole_timing(6.0).measures


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


class Failing(Gateway):
    """Raises the errors in turn, answers at each None among them, and after the last one."""

    def __init__(self, *errors):
        super().__init__("provider")
        self.errors = list(errors)

    async def complete(self, call):
        if self.errors and (error := self.errors.pop(0)):
            raise error
        return await super().complete(call)


async def outcomes(folder, inner, calls, asked=CALL):
    """Return what each of ``calls`` calls of one run came to."""
    silent, found = {}, []
    with closing(ReplyCache(folder)) as cache:
        for number in range(calls):
            gateway = CachingGateway(inner, cache, "run-1", "pair", f"inputs {number}", 0, silent=silent)
            try:
                found.append((await gateway.complete(asked)).origin)
            except (ModelError, RunAborted) as err:
                found.append(type(err))
    return found


async def test_an_unusable_model_ends_the_run_at_once(tmp_path):
    assert await outcomes(tmp_path, Failing(ModelUnusable("its key has expired")), 1) == [RunAborted]


async def test_a_model_that_never_answers_ends_the_run(tmp_path):
    down = [UpstreamUnavailable("down") for _ in range(MOST_SILENT)]
    found = await outcomes(tmp_path, Failing(*down), MOST_SILENT)
    assert found == [UpstreamUnavailable] * (MOST_SILENT - 1) + [RunAborted]


async def test_a_model_that_has_answered_once_may_fail_later(tmp_path):
    inner = Failing()
    assert await outcomes(tmp_path, inner, 1) == ["provider"]
    broken = [UpstreamUnavailable("down")] * MOST_SILENT + [QuotaExceeded("slow down")] * MOST_THROTTLED
    found = await outcomes(tmp_path / "other", Failing(None, *broken), 1 + len(broken))
    assert RunAborted not in found


async def test_a_model_that_only_throttles_ends_the_run(tmp_path):
    found = await outcomes(tmp_path, Failing(*[QuotaExceeded("slow down")] * MOST_THROTTLED), MOST_THROTTLED)
    assert found == [QuotaExceeded] * (MOST_THROTTLED - 1) + [RunAborted]


async def test_a_throttled_call_is_no_answer(tmp_path):
    broken = [UpstreamUnavailable("down")] * MOST_SILENT
    found = await outcomes(tmp_path, Failing(QuotaExceeded("slow down"), *broken), 1 + MOST_SILENT)
    assert found[-1] is RunAborted


async def test_a_model_that_only_answers_in_prose_where_a_form_is_asked_for_ends_the_run(tmp_path):
    form = replace(CALL, answer_schema={"type": "object"})
    assert (await outcomes(tmp_path, Failing(), MOST_SILENT, form))[-1] is RunAborted
    assert RunAborted not in await outcomes(tmp_path / "text", Failing(), MOST_SILENT)
