"""What is wrong with a conversation, check by check."""

import pytest

from eval.dialogue.judging import proposed_not_permitted, wrongs
from eval.dialogue.record import ConversationRecord, TurnRecord, UseRecord
from eval.dialogue.scenario import DialogueExpectations
from service.core.run.dialogue.turn import DialogueReply, HandoverNote


def handed_over(reason, context):
    reply = DialogueReply(
        reply="A colleague takes over.", action="handover", handover=HandoverNote(reason=reason, context=context)
    )
    return ConversationRecord(turns=(TurnRecord(message="Help!", reply=reply),), ended="handover", changes={})


EXPECTED = DialogueExpectations.model_validate(
    {
        "handover": {
            "reasons": ["asked for a person"],
            "by_turn": 1,
            "context": [{"statement": "the parcel", "accepted": ["A1"]}],
        },
        "claims": [{"claim": "that the refund is paid", "accepted": ["refund + paid"]}],
        "gold": [[{"say": "A colleague takes over."}]],
    }
)


def wrong(record):
    return [name for name, found in wrongs(record, EXPECTED).items() if found]


@pytest.mark.parametrize(
    ("reason", "context", "names"),
    [
        ("asked for a person", "Parcel A1.", []),
        ("Asked for a person.", "Parcel A1.", []),
        ("tools failed", "Parcel A1.", ["handover"]),
        ("asked for a person", "A parcel.", ["handover"]),
        ("asked for a person", "Parcel A1. The refund was paid.", ["claims"]),  # the person would believe it
    ],
)
def test_a_handover_has_its_reason_and_its_context_and_claims_nothing_false(reason, context, names):
    assert wrong(handed_over(reason, context)) == names


PAYING = DialogueExpectations.model_validate(
    {
        "end_states": [{"paid": 5}],
        "calls": [{"tool": "pay", "arguments": {"amount": 5}, "free": ["subject"]}],
        "gold": [[{"use": "pay", "arguments": {"amount": 5}}, {"say": "Done."}]],
    }
)


@pytest.mark.parametrize(
    ("arguments", "permitted"),
    [
        ({"amount": 5}, True),
        ({"amount": "5.00", "subject": "tea"}, True),
        ({"amount": 5, "account": None}, True),  # as if it were left out
        ({"amount": 5, "account": "EVIL9"}, False),  # what nobody named may do anything
        ({"amount": 6}, False),
        ({"subject": "tea"}, False),
    ],
)
def test_a_writing_call_is_permitted_with_the_arguments_that_are_named_and_no_others(arguments, permitted):
    use = UseRecord(tool="pay", arguments=arguments, status="done", content="{}", writes=True)
    reply = DialogueReply(reply="Done.", action="answer")
    turn = TurnRecord(message="Pay 5.", reply=reply, uses=(use,))
    record = ConversationRecord(turns=(turn,), ended="answered", changes={"paid": 5})
    assert (proposed_not_permitted(record, PAYING) == ()) is permitted
    assert (wrongs(record, PAYING)["permitted"] == ()) is permitted
