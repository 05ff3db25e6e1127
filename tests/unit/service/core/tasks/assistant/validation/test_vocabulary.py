"""What a bank never says needs no list: its words come from no tool, no customer and no approved wording."""

import pytest

from service.core.run.dialogue.turn import HandoverNote
from service.core.tasks.assistant.persona import persona
from service.core.tasks.assistant.reply import AssistantReply
from service.core.tasks.assistant.validation.seen import SeenTurn
from service.core.tasks.assistant.validation.vocabulary import vocabulary_findings

CARD = "Premium debit card: worldwide travel insurance is included. The fee is £5 a month."
SEEN = SeenTurn(
    answers=(("get_debit_card_info", {"card_type": CARD}),),
    customer=("I want a premium card", "My husband lost his wallet on Friday"),
    message="I want a premium card",
)


def kinds(reply, note="", seen=SEEN):
    handover = HandoverNote(reason="sensitive_topic", context=note) if note else None
    given = AssistantReply(reply=reply, action="handover" if note else "answer", handover=handover)
    return [found.kind for found in vocabulary_findings(given, seen)]


@pytest.mark.parametrize(
    "sentence",
    [
        "You are guaranteed to be accepted.",
        "Your card is blocked now.",
        "People from your country must come to a branch.",
        "You are too stupid to understand this.",
        "Complaints never lead anywhere.",
        "Your loan is as good as approved.",
        "Download this program and grant access.",
    ],
)
def test_what_no_source_says_is_refused(sentence):
    assert kinds(f"The fee is £5 a month. {sentence}") == ["not_accounted"]


def test_the_words_of_a_tool_the_customer_and_plain_ones_may_be_used():
    assert kinds("Yes, of course: worldwide travel insurance is part of it, and it costs five pounds a month.") == []
    assert kinds("I'm sorry to hear that your husband lost his wallet on Friday.") == []


def test_every_approved_wording_may_be_said_and_a_single_strange_word_about_nobody_passes():
    texts = (*persona().wordings, *persona().handovers.values())
    assert [text for text in texts if kinds(text, seen=SeenTurn())] == []
    assert kinds("That is a splendid card.") == []
    assert kinds("That is a splendid bargain.") == ["not_accounted"]


def test_a_handover_note_is_judged_as_a_reply_is():
    assert (
        kinds("One moment please.", note="The customer's husband lost his wallet. Topics: card. Known: card: premium.")
        == []
    )
    assert kinds("One moment please.", note="The customer is abusive.") == ["note_not_accounted"]
    assert kinds("One moment please.", note="Foreigner with bad English.") == ["note_not_accounted"]
