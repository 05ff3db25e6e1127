"""Verification of quotes: which are accepted, and in which turn they are found."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.core.tasks.scorecard.evidence import find_quote, folded, shared_words
from service.core.tasks.scorecard.transcript import Turn, line_of, unscoreable

TURNS = [
    Turn(speaker="agent", start_s=0, text="Good morning, you're through to Sam – how can I help?"),
    Turn(speaker="customer", start_s=4.5, text="Hi.  My account\nis “wrong”. I don't know why. Thank you."),
    Turn(speaker="agent", start_s=9, text="Thank you. Anything else? I am the accountant on duty, thank you so much."),
    Turn(speaker="agent", start_s=700, text="Goodbye"),
]


@pytest.mark.parametrize(
    ("quote", "claimed", "turn"),
    [
        ("Good morning, you're through to Sam", 0, 0),
        ("GOOD MORNING,   you’re through to sam - how can i help", 0, 0),
        ('"... my account is "wrong"."', 1, 1),
        ("I don’t know why", 1, 1),
        ("how can I help", 3, 0),  # the wrong turn is set right
        ("how can I help", 99, 0),
        ("how can I help", None, 0),
        ("thank you so much", 1, 2),
        ("Goodbye", 3, 3),  # one word, but all that was said
        ("Anything else?", 2, 2),  # two words, but a whole sentence
        ("Thank you", 1, 1),
        ("Thank you", 2, 2),
    ],
)
def test_spoken_words_are_verified(quote: str, claimed: int | None, turn: int) -> None:
    found = find_quote(quote, claimed, TURNS)
    assert (found.status, found.turn) == ("verified", turn)


@pytest.mark.parametrize(
    "quote",
    [
        "Good morning, you are through to Sam",
        "Good morning, through to Sam",
        "you're through to Sam. Hi. My account",  # two turns made one
        "I am the account",  # not a whole word
        "t know why",
        "the accountant",  # two words out of a sentence
        "Hi",  # one word out of a turn
        "[0] 00:00 agent: Good morning, you're through to Sam",
    ],
)
def test_changed_or_partial_words_are_unverified(quote: str) -> None:
    found = find_quote(quote, 0, TURNS)
    assert (found.status, found.turn) == ("unverified", None)


@pytest.mark.parametrize("quote", ["", "  ", "...", "-", '""'])
def test_an_empty_quote_has_status_none(quote: str) -> None:
    assert find_quote(quote, 0, TURNS).status == "none"


def test_the_turn_nearest_to_the_claimed_one_is_found() -> None:
    turns = [Turn(speaker="agent", start_s=n, text="let me just check that" if n % 4 == 0 else "hm") for n in range(9)]
    assert [find_quote("let me just check that", claimed, turns).turn for claimed in (0, 1, 2, 3, 7)] == [0, 0, 0, 4, 8]


@given(st.lists(st.text(alphabet="abc '’-", min_size=1, max_size=30), min_size=1, max_size=5), st.data())
def test_any_three_consecutive_words_of_a_turn_are_verified(texts: list[str], data: st.DataObject) -> None:
    turns = [Turn(speaker="agent", start_s=0, text=text) for text in texts]
    place = data.draw(st.integers(0, len(turns) - 1))
    words = [word for word in turns[place].text.split(" ") if word.strip("'’-")]
    if len(words) < 3:
        return
    first = data.draw(st.integers(0, len(words) - 3))
    quote = " ".join(words[first : first + 3])
    if folded(quote) not in folded(turns[place].text) or len([w for w in words[first : first + 3] if w.isalpha()]) < 3:
        return
    found = find_quote(quote, place, turns)
    assert (found.status, found.turn) == ("verified", place)


@given(st.text(max_size=60), st.integers(-3, 9) | st.none())
def test_a_verified_quote_is_always_in_its_turn(quote: str, claimed: int | None) -> None:
    found = find_quote(quote, claimed, TURNS)
    if found.status == "verified":
        assert found.turn is not None
        assert folded(quote).strip(" .?!-,'\"") in folded(TURNS[found.turn].text)


def test_a_turn_is_written_as_one_line() -> None:
    turn = TURNS[1]
    line = line_of(1, turn.speaker, 724.9, turn.text)
    assert line == "[1] 12:04 customer: Hi. My account is “wrong”. I don't know why. Thank you."


@pytest.mark.parametrize(
    ("turns", "reason"),
    [
        ([], "no words are spoken"),
        ([Turn(speaker="system", start_s=0, text="All our lines are busy")], "no words are spoken"),
        ([Turn(speaker="agent", start_s=0, text=" ... ")], "no words are spoken"),
        ([Turn(speaker="customer", start_s=0, text="Hello? Hello?")], "no turn is the agent's"),
        ([Turn(speaker="unknown", start_s=0, text="Hello")], None),
        ([Turn(speaker="agent", start_s=0, text="Hello")], None),
    ],
)
def test_a_call_without_words_or_without_an_agent_cannot_be_scored(turns: list[Turn], reason: str | None) -> None:
    assert unscoreable(turns) == reason


@pytest.mark.parametrize(
    ("one", "other", "share"),
    [
        ("the fee is nine dollars", "the fee is nine dollars", 1.0),
        ("So, the fee is nine dollars a month, and is there anything else?", "fee is nine dollars", 1.0),
        ("is nine dollars a", "the fee is nine dollars", 0.75),  # of the shorter one
        ("Is there anything", "fee is nine dollars", 0.0),
        ("is nine", "dollars a month", 0.0),
        ("is", "is there anything", 1.0),  # the second "is"
        ("never said", "the fee", 0.0),
        ("", "the fee", 0.0),
    ],
)
def test_two_quotes_share_the_words_that_both_hold(one: str, other: str, share: float) -> None:
    text = "So, the FEE is nine dollars a month, and is there anything else?"
    assert shared_words(text, one, other) == shared_words(text, other, one) == share


@pytest.mark.parametrize(
    ("quote", "turn"),
    [
        ("Hello [name], this is [agent]", 0),
        ("HELLO [Name], this is", 0),
        ("[address], correct?", 0),
        ("[name] [number]", None),  # tags of a longer turn say nothing
        ("[number]", 1),  # all that was said
        ("Hello Ada, this is", None),  # a guess
        ("Hello name, this is", None),
    ],
)
def test_a_tag_is_the_word_that_stands_in_the_transcript_and_alone_no_evidence(quote: str, turn: int | None) -> None:
    turns = [
        Turn(
            speaker="agent", start_s=0, text="Hello [name], this is [agent]. [address], correct? [name] [number] it is."
        ),
        Turn(speaker="customer", start_s=4, text="[number]."),
    ]
    assert find_quote(quote, 0, turns).turn == turn
