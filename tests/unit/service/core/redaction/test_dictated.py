"""What people dictate is removed as a recogniser writes it; amounts, times, counts and dates of bills stay."""

import pytest

from service.calls.redact.second_look import overlooked
from service.calls.redact.transcript import PatternRedactor
from service.core.tasks.scorecard.transcript import Turn


def said(*texts: str) -> list[Turn]:
    """Return turns of agent and customer, in turn; the first is the agent's."""
    return [
        Turn(speaker="customer" if place % 2 else "agent", start_s=0, text=text) for place, text in enumerate(texts)
    ]


def redacted(*texts: str) -> list[str]:
    return [turn.text for turn in PatternRedactor().redact(said(*texts)).turns]


@pytest.mark.parametrize(
    ("asked", "answer", "left"),
    [
        ("Go on.", "It's 4, 1, 1, 1, 2, 2, 2, 2, uh, 3, 3, 3, 3, 4, 4, 4, 4.", "It's [number]."),
        ("Go on.", "four one one one, double two", "[number]"),
        ("What's your PIN?", "Forty-one eleven.", "[number]."),
        ("What are the second and fourth digits of your PIN?", "Seven and nine.", "[number] and [number]."),
        ("The 1st character of your passcode?", "It's a 7.", "It's a [number]."),
        ("And the sort code?", "twenty, forty-five, fifty-three", "[number]"),
        ("Go on.", "My PIN is forty-one eleven.", "My PIN is [number]."),
        ("Can I have your date of birth?", "Fourteenth of March eighty-nine.", "[birthdate]."),
        ("Date of birth?", "three fourteen eighty nine", "[birthdate]"),
        ("Date of birth?", "the 5th of the 6th, 82", "[birthdate]"),
        (
            "Go on.",
            "I was born on March 14th, 1989, I called on March 3rd.",
            "I was born on [birthdate], I called on March 3rd.",
        ),
        ("Go on.", "ninth november seventy-nine, lm5 0sw.", "[birthdate], [address]."),
        ("What's the postcode?", "It's S W one A, one A A.", "It's [address]."),
        ("Postcode?", "Lima Mike five, five delta echo", "[address]"),
        ("How do you spell that?", "M-A-R-C-H-E-T-T-I", "[name]"),
        ("Go on.", "It's M as in Mike, A as in Alpha, R as in Romeo, C for Charlie.", "It's [name]."),
        ("Go on.", "delphine dot marchetti at example dot com", "[email]"),
    ],
)
def test_a_dictated_detail_is_removed(asked: str, answer: str, left: str) -> None:
    assert redacted(asked, answer)[1] == left


@pytest.mark.parametrize(
    "text",
    [
        "Two hundred and eighty-four sixty, and I paid on the 3rd of November at ten fifteen.",
        "Three, two, one, go! I have two kids, one dog and 4 cats.",
        "Press one, two, three or four.",
        "The bill of October 2026 was for $284.60, twice as much as in 2025 and 2024.",
        "I want 20 to 25 minutes, at 10, 11 or 12 o'clock, and the rate is 19.9 percent.",
        "It's a three-day, 24-hour, seven to ten days wait. On 21 November 2026.",
    ],
)
def test_what_calls_are_about_stays(text: str) -> None:
    assert redacted("How can I help?", text)[1] == text


def test_a_count_after_a_question_for_digits_stays() -> None:
    asked = "Do you know the first four digits of your PIN, or when the second card came?"
    told = "No, I do not, but the second card came five days after the first one and I have called twice about it."
    assert redacted(asked, told)[1] == told


def test_a_number_in_pieces_stays_asked_for() -> None:
    found = redacted(
        "What is your account number?", "4 1 1", "Yes.", "1 2 2, and then", "Go on.", "3 3 7.", "So 4 1 1, 3 3 7?"
    )
    assert not [text for text in found if any(map(str.isdigit, text))]


@pytest.mark.parametrize(
    ("asked", "answer", "kind"),
    [
        ("What is the card number?", "four, then I think there are ones, one, one, one, and that's it", "number"),
        ("What's your PIN?", "let me see, 4 and something, no, 4 then 1 then 1 then 9", "number"),
        ("When were you born?", "in May, it must have been the 2nd, of, uh, well, 50", "birthdate"),
        ("How do you spell it?", "M then A then R and C, H", "name"),
    ],
)
def test_the_second_look_finds_what_no_pattern_knows(asked: str, answer: str, kind: str) -> None:
    assert overlooked(said(asked, answer)) == {kind: 1}
    assert overlooked(said("How can I help?", answer.replace("May", "it"))) == {}


def test_the_second_look_computes_check_digits_over_turns() -> None:
    card = [Turn(speaker="customer", start_s=0, text=text) for text in ("4111", "1111", "1111 and", "one one one one")]
    assert overlooked(card) == {"number": 1}
    assert overlooked([*card[:3], card[3].model_copy(update={"text": "one one one two"})]) == {}
