"""A conversation is played to its end, whatever else a task's replies hold."""

import asyncio
import json
from dataclasses import replace

from eval.cases import Case
from eval.dialogue.agents import turn_result
from eval.dialogue.play import DialogueEpisode
from eval.dialogue.record import ConversationRecord
from eval.dialogue.world import RecordsWorld
from service.dialogue.turn import DialogueReply

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
