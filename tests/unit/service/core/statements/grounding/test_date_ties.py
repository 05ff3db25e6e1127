"""Both sides of a date tie must be in one interaction; numbers in words are found."""

from datetime import UTC, datetime

import pytest

from service.core.statements.grounding.check import GroundingSource, find_unsupported
from service.core.unit.interaction import Interaction

NOW = datetime(2025, 11, 6, 15, tzinfo=UTC)  # a Thursday


def source(*items):
    return GroundingSource(
        [
            Interaction(interaction_id=f"i{n}", channel=channel, timestamp=when, intent="Billing", text=text)
            for n, (channel, when, text) in enumerate(items)
        ],
        as_of=NOW,
    )


SOURCE = source(
    ("chat", "2025-10-07T15:00:00Z", "asked about the $18.50 late fee, agent took it off"),
    ("email", "2025-10-20T15:00:00Z", "still waiting, $70 for food. phoned you on Oct 16 and was told Friday"),
    ("sms", "2025-11-02T23:30:00Z", "any news? 12-month minimum"),
)


@pytest.mark.parametrize(
    "text",
    [
        "Asked in the Oct 7 chat.",
        "An Oct 20 e-mail repeats it.",
        "She called Oct 16 and was promised Friday.",
        "A text of Nov 2 asks for news.",
        "Agent waived $18.50 on Oct 7.",
        "Wants $70 back, as she wrote on Oct 20.",
        "Chatted on Oct 7, then e-mailed.",
        "By e-mail she says that on Oct 7 nothing happened.",
        "Contact today, Nov 6.",
        "Thursday, Nov 6 is the day.",
        "Three contacts from Oct 7 to Nov 2 by chat, e-mail and text.",
    ],
)
def test_a_tie_within_one_interaction_is_supported(text):
    assert find_unsupported(text, SOURCE) == ()


@pytest.mark.parametrize(
    ("text", "kind", "value"),
    [
        ("Asked in the Oct 20 chat.", "contact", "Oct 20 chat"),
        ("By e-mail on Oct 7 she asked.", "contact", "e-mail on Oct 7"),
        ("A text of Oct 20 asks for news.", "contact", "text of Oct 20"),
        ("Agent waived $18.50 on Oct 20.", "amount", "$18.50 on Oct 20"),
        ("Lost $70 of food on Oct 7.", "amount", "$70 of food on Oct 7"),
        ("Contact tomorrow, Nov 6.", "date", "tomorrow, Nov 6"),
        ("Due Friday, Nov 6.", "date", "Friday, Nov 6"),
    ],
)
def test_a_true_value_tied_to_the_wrong_date_is_unsupported(text, kind, value):
    assert [(found.kind, found.value) for found in find_unsupported(text, SOURCE)] == [(kind, value)]


def test_a_tie_with_a_derived_amount_is_not_checked():
    assert find_unsupported("In all $88.50 on Oct 7.", SOURCE) == ()


def test_before_am_a_number_is_a_day_only_from_13_on():
    assert find_unsupported("Crew comes Nov 2 AM.", SOURCE) != ()  # "2 AM" is a time that no interaction states
    late = source(("chat", "2025-10-15T15:00:00Z", "crew today"))
    assert find_unsupported("Crew came Oct 15 AM.", late) == ()
