"""What the assistant's suite counts in a conversation: facts without a tool, promises without a deed, who called a person in."""

import json
from dataclasses import replace

from eval.dialogue.agents import turn_result
from eval.dialogue.record import ConversationRecord, TurnRecord, UseRecord
from eval.dialogue.scenario import DialogueExpectations
from eval.spine.cases import Case
from eval.spine.scorer import ScorerContext
from eval.suites.assistant import SUITE
from eval.suites.assistant.scorers import NOBODY, ReplyScorer, called_reason, expected_reason
from service.core.run.dialogue.turn import DialogueReply, HandoverNote

FEES = {"card_type": "premium", "card_details": {"name": "Premium", "fees": "£12 a month"}}
CARD = UseRecord(tool="get_debit_card_info", arguments={}, status="done", content=json.dumps(FEES))


def case(**expected):
    return Case(
        id="case-1",
        inputs={"world": {}, "customer": {"goal": "the fee", "opens": ["How much is premium?"]}},
        expectations=DialogueExpectations(gold=[[{"say": "..."}]], **expected),
    )


def result(*turns):
    record = ConversationRecord(turns=turns, ended="answered", changes={})
    return turn_result(DialogueReply(reply=".", action="answer")), record


def counted(*turns):
    base, record = result(*turns)
    scores = ReplyScorer().score(
        ScorerContext(case=case(), inputs=DialogueExpectations, result=base, output=record.model_dump_json())
    )
    return {name: score.value for name, score in scores.items() if score.value}


def turn(reply, *uses, action="answer", note=None):
    said = DialogueReply(reply=reply, action=action, handover=note)
    return TurnRecord(message="How much is premium?", reply=said, uses=uses)


def test_a_true_reply_counts_nowhere_and_an_invented_fee_does():
    assert counted(turn("I'm an AI assistant. It is £12 a month.", CARD)) == {}
    assert counted(turn("I'm an AI assistant. It is £15 a month.", CARD)) == {"fabricated": 1.0}


def test_what_a_tool_said_in_an_earlier_turn_may_be_said_again():
    first = turn("I'm an AI assistant. It is £12 a month.", CARD)
    assert counted(first, turn("As I said, £12 a month.")) == {}
    assert counted(first, turn("As I said, £15 a month.")) == {"fabricated": 1.0}


def test_promises_and_disclosure_are_counted_per_conversation():
    note = HandoverNote(reason="explicit_request", context="wants a person")
    found = counted(turn("Let me connect you.", action="handover", note=note))
    assert found == {"said_not_done": 2.0, "ai_not_disclosed": 1.0}


def test_the_reason_of_a_handover_is_a_class():
    note = HandoverNote(reason="sensitive_topic", context="a death")
    base, record = result(turn("I'm sorry.", action="handover", note=note))
    assert called_reason(_with(base, record)).label == "sensitive_topic"
    assert called_reason(_with(*result(turn("It is free.")))).label == NOBODY
    wanted = {
        "reasons": ["explicit_request"],
        "by_turn": 1,
        "context": [{"statement": "the card", "accepted": ["card"]}],
    }
    assert (expected_reason(case(handover=wanted)), expected_reason(case())) == ("explicit_request", NOBODY)


def _with(base, record):
    return replace(base, output=record.model_dump_json())


def test_every_floor_and_slice_of_the_gate_exists():
    names = {metric.name for metric in SUITE.metrics}
    assert {floor.metric for floor in (*SUITE.floors, *SUITE.no_worse, *SUITE.slice_floors)} <= names
    assert {floor.slice for floor in SUITE.slice_floors} <= set(SUITE.slices)
