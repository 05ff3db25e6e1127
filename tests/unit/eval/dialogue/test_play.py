"""A conversation is played to its end, whatever else a task's replies hold."""

import asyncio
import json
from dataclasses import replace
from functools import partial

from eval.dialogue.agents import turn_result
from eval.dialogue.play import DialogueEpisode
from eval.dialogue.record import ConversationRecord
from eval.dialogue.world import RecordsWorld
from eval.spine.cases import Case
from service.core.llm.pricing import Usage
from service.core.run.dialogue.turn import DialogueReply
from service.core.tools.use import TracedStep

EPISODE = DialogueEpisode(world=lambda scenario: RecordsWorld(scenario.world, (), {}))
CASE = Case(id="case-1", inputs={"world": {}, "customer": {"goal": "learn it", "opens": ["When does it come?"]}})


async def telling_more(inputs, tools):
    told = turn_result(DialogueReply(reply="It comes today.", action="answer"))
    return replace(told, output=json.dumps({**json.loads(told.output), "intent": "delivery date"}))


def test_a_task_may_reply_with_more_than_the_episode_knows():
    result = asyncio.run(EPISODE.play_with(CASE, 0, {}, telling_more))
    record = ConversationRecord.model_validate_json(result.output)
    assert record.turns[0].more == {"intent": "delivery date"}
    assert (record.replies, record.ended) == (("It comes today.",), "answered")


def test_the_result_says_of_every_turn_which_models_were_asked_and_what_was_repaired():
    turns = iter(("clarify", "answer"))

    async def judged(inputs, tools):
        action = next(turns)
        asked = [
            TracedStep(
                kind="model", name=name, status="end_turn", ms=1.0, content="...", usage=Usage(input_tokens=tokens)
            )
            for name, tokens in (("main", 30), ("judge", 20))
        ]
        used = TracedStep(kind="tool", name="look_up", status="done", ms=1.0, content="{}")
        asks = ("confirmation",) if action == "clarify" else ()
        reply = DialogueReply(reply="Shall I look?" if asks else "It comes today.", action=action, asks=asks)
        found = turn_result(reply, (asked[0], used, asked[1]))
        return replace(found, repaired=bool(asks), guarded=("promise",) * len(asks), guard_findings=len(asks))

    result = asyncio.run(EPISODE.play_with(CASE, 0, {}, judged))
    assert [(step.name, step.usage.input_tokens, step.content) for step in result.trace] == [
        ("main", 30, ""),
        ("judge", 20, ""),
    ] * 2
    assert (result.repaired, result.guarded, result.guard_findings) == (True, ("promise",), 1)


def test_equal_conversations_have_equal_records_however_long_their_turns_took():
    async def slow(inputs, tools, ms):
        return replace(turn_result(DialogueReply(reply="It comes today.", action="answer")), latency_ms=ms)

    outputs = {asyncio.run(EPISODE.play_with(CASE, 0, {}, partial(slow, ms=ms))).output for ms in (1.0, 900.0)}
    assert len(outputs) == 1
