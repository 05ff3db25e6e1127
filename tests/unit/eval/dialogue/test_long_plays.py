"""Long conversations, large worlds and long replies are played and judged as any other."""

import asyncio

from clinic.world import EPISODE, records

from eval.dialogue.agents import GoldAgent
from eval.dialogue.judging import wrongs
from eval.dialogue.record import ConversationRecord
from eval.dialogue.scenario import DialogueExpectations
from eval.spine.cases import Case
from service.core.run.dialogue.turn import MOST_CHARS


def played(world, gold, **expectations):
    customer = {"goal": "get more", "opens": ["I am P101 and need 3 packs of Lisinopril."], "patience": 20}
    expected = DialogueExpectations.model_validate({"gold": gold, **expectations})
    case = Case(id="case", inputs={"world": world, "customer": customer}, expectations=expected)
    specs = {spec.name: spec for spec in EPISODE.specs}
    result = asyncio.run(EPISODE.play_with(case, 0, specs, GoldAgent(expected.gold)))
    record = ConversationRecord.model_validate_json(result.output)
    return record, [name for name, wrong in wrongs(record, expected).items() if wrong]


ORDER = {"patient": "P101", "medicine": "Lisinopril", "packs": 3}
ASK = {"say": "Really?", "action": "clarify", "asks": ["confirmation"]}
DONE = [{"use": "order_medicine", "arguments": ORDER}, {"say": "Order {order_medicine.order}."}]


def test_twenty_turns_in_a_world_of_20_000_orders():
    world = records(1)
    world["orders"] = {f"X{number}": ORDER for number in range(20_000)}
    record, wrong = played(
        world,
        [*[[ASK]] * 19, DONE],
        end_states=[{"orders.O20001": ORDER}],
        calls=[{"tool": "order_medicine", "arguments": ORDER, "confirmed": True}],
        told=[{"statement": "the order", "accepted": ["O20001"]}],
    )
    assert (len(record.turns), record.ended, wrong) == (20, "answered", [])


def test_a_reply_as_long_as_replies_may_be_is_heard_and_judged():
    question = " Shall I order it?"
    long = {"say": ("So it is 很好. " * 400)[: MOST_CHARS - len(question)] + question, "action": "clarify"}
    assert len(long["say"]) == MOST_CHARS
    record, wrong = played(
        records(1),
        [[long], DONE],
        end_states=[{"orders.O1": ORDER}],
        calls=[{"tool": "order_medicine", "arguments": ORDER, "confirmed": True, "asked_with": ["order"]}],
    )
    assert (len(record.turns), record.turns[1].confirms, wrong) == (2, True, [])
