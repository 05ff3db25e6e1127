"""A conversation searches documents beside the tools of its case's world, with the same planted faults."""

import asyncio

import pytest
from builders import make_pair
from held_documents import FIRST, Indexes, holding, searching

from eval.dialogue.agents import own_words, turn_result, used
from eval.dialogue.measures import FoundInConversation
from eval.dialogue.play import DialogueEpisode
from eval.dialogue.record import ConversationRecord
from eval.dialogue.scenario import GoldUse
from eval.dialogue.world import RecordsWorld
from eval.spine.cases import Case
from eval.spine.errors import CaseError
from service.core.run.dialogue.turn import DialogueReply
from service.core.unit.pair import ToolSpec

PEEK = ToolSpec(name="peek", description="Look.", arguments={"type": "object"})
PAIR = make_pair(tools=(PEEK, *searching(FIRST)))
FOUND = FoundInConversation("search_documents")


def world(scenario):
    return RecordsWorld(scenario.world, (PEEK,), {"peek": lambda records, _: dict(records)})


def case(**more):
    customer = {"goal": "know the fee", "opens": ["What is the fee?"], "knows": {}}
    return Case(id="case-1", inputs={"world": {"count": 1}, "customer": customer, **more})


async def looks_it_up(inputs, tools):
    steps = [GoldUse(use="search_documents", arguments={"query": inputs.message}), GoldUse(use="peek")]
    trace = [await used(step, tools, own_words(inputs)) for step in steps]
    return turn_result(DialogueReply(reply="5 EUR.", action="answer"), trace)


def played(indexes, **more):
    episode = DialogueEpisode(world=world, specs=PAIR.tools).with_documents(indexes)
    result = asyncio.run(episode.play(case(**more), 0, PAIR, looks_it_up))
    return result, [use.status for use in ConversationRecord.model_validate_json(result.output).uses]


def test_a_conversation_searches_the_index_that_the_pair_names():
    indexes = holding(FIRST)
    result, statuses = played(indexes)
    assert statuses == ["done", "done"]
    assert indexes.held[FIRST].asked == [("What is the fee?", 5, None)]
    assert FOUND(result) == ("fees",)


def test_a_planted_fault_reaches_the_search():
    result, statuses = played(holding(FIRST), faults=[{"tool": "search_documents", "kind": "error"}])
    assert statuses == ["failed", "done"]
    assert FOUND(result) == ()


def test_documents_that_cannot_be_searched_are_no_fault_of_the_pair():
    with pytest.raises(CaseError, match="its world broke"):
        played(Indexes())
