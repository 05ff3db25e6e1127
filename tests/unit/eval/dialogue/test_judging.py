"""What is wrong with a conversation, check by check."""

import pytest

from eval.dialogue.judging import wrongs
from eval.dialogue.record import ConversationRecord, TurnRecord
from eval.dialogue.scenario import DialogueExpectations
from service.dialogue.turn import DialogueReply, HandoverNote


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
