"""Redaction of calls: before anything else sees a turn, and none when in doubt."""

import json

import pytest

from service.calls.failure import CallFailed, FailureReason
from service.calls.redact import transcript
from service.calls.redact.transcript import PatternRedactor, leftovers, redacted_further
from service.core.redaction.entities import EntitySpan
from service.core.redaction.free_text import LONGEST_TEXT
from service.core.tasks.scorecard import ScorecardInputs
from service.core.tasks.scorecard.transcript import Turn
from service.kit.settings import REPO_ROOT


def turn(text, speaker="customer"):
    return Turn(speaker=speaker, start_s=0, text=text)


@pytest.mark.acceptance("call-06", "redaction-05")
def test_finds_are_counted_by_kind_without_existing_tags():
    found = PatternRedactor().redact(
        [turn("I'm at d.marchetti@example.com, again d.marchetti@example.com"), turn("[name] said 4111 1111 1111 1111")]
    )
    assert [one.text for one in found.turns] == ["I'm at [email], again [email]", "[name] said [number]"]
    assert found.found == {"email": 2, "number": 1}
    assert found.by == "patterns-3"


def test_nothing_found_is_nothing_claimed():
    assert PatternRedactor().redact([turn("It is fine now.")]).found == {}


def test_a_text_that_cannot_be_redacted_fails_the_call(monkeypatch):
    with pytest.raises(CallFailed) as caught:
        PatternRedactor().redact(
            [turn("fine"), turn("x" * LONGEST_TEXT).model_copy(update={"text": "x" * (LONGEST_TEXT + 1)})]
        )
    assert caught.value.reason is FailureReason.REDACTION
    assert "turn 1" in str(caught.value)

    def broken(text):
        raise ValueError("Delphine Marchetti")

    monkeypatch.setattr(transcript, "redacted_text", broken)
    with pytest.raises(CallFailed) as caught:
        PatternRedactor().redact([turn("hello")])
    assert "Delphine" not in str(caught.value)
    assert caught.value.__cause__ is None


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("my name is andrew aguayo", "my name is [name]"),
        ("sure the name is scrooge and my ssn is 6969", "sure the name is [name] and my ssn is [number]"),
        ("my name is john f my card number is 1111 1111 1111 1111", "my name is [name] my card number is [number]"),
        ("this is pete speaking", "this is [name] speaking"),
        ("last four of my social are four five six seven", "last four of my social are [number]"),
        ("7789", "[number]"),
        ("daniel 1587 gmailcom", "[email]"),
        ("sam at gmail dot com", "[email]"),
        ("claim number is abd 568", "claim number is [number]"),
    ],
)
def test_what_speech_gives_away(text, kept):
    assert PatternRedactor().redact([turn(text)]).turns[0].text == kept


@pytest.mark.parametrize(
    "text",
    [
        "that was 250 dollars in march",
        "I paid $284.60 on the card",
        "the name of the plan is wrong",
        "my name was spelled wrong",
        "yes",
    ],
)
def test_details_that_the_call_is_about_are_kept(text):
    assert PatternRedactor().redact([turn(text)]).turns[0].text == text


def test_an_answer_is_read_with_its_question():
    said = [turn("May I have your full name?", "agent"), turn("(music)", "system"), turn("yes, delphine marchetti")]
    assert PatternRedactor().redact(said).turns[2].text == "yes, [name]"
    said = [turn("And the last four digits?", "agent"), turn("so it is 4471 I think"), turn("and 5582 dogs")]
    assert [one.text for one in PatternRedactor().redact(said).turns[1:]] == [
        "so it is [number] I think",
        "and 5582 dogs",
    ]


def test_a_name_in_brackets_asks_for_no_name():
    said = [turn("Thank you [name], and the [NUMBER]. All good?", "agent"), turn("yes, lovely 471 dogs")]
    assert PatternRedactor().redact(said).turns[1].text == "yes, lovely 471 dogs"


def test_what_is_found_later_is_counted_with_what_was_found_before():
    before = PatternRedactor().redact([turn("zofia, d@example.com"), turn("ok")])
    after = redacted_further(before, [[EntitySpan(start=0, end=5, kind="name")], []], "two")
    assert [one.text for one in after.turns] == ["[name], [email]", "ok"]
    assert (after.by, after.found) == ("two", {"email": 1, "name": 1})


@pytest.mark.parametrize("finds", [[[]], [[], [], []], [[EntitySpan(start=0, end=99, kind="name")], []]])
def test_finds_that_do_not_fit_their_turns_fail_the_call(finds):
    before = PatternRedactor().redact([turn("zofia"), turn("ok")])
    with pytest.raises(CallFailed) as caught:
        redacted_further(before, finds, "two")
    assert caught.value.reason is FailureReason.REDACTION


@pytest.mark.acceptance("redaction-02")
def test_a_second_look_finds_what_a_redactor_left():
    assert leftovers([turn("It is [name], card [number]."), turn("My bill of $284.60 from October 3 is wrong.")]) == {}
    left = leftovers([turn("It is [name]."), turn("Card 4111 1111 1111 1111, mail d.marchetti@example.com")])
    assert left == {"email": 1, "number": 1}


def test_a_second_look_finds_nothing_that_the_first_did_not():
    path = REPO_ROOT / "datasets" / "scorecard" / "gate.jsonl"
    for line in path.read_text(encoding="utf-8").splitlines():
        turns = ScorecardInputs.model_validate(json.loads(line)["inputs"]).turns
        assert leftovers(PatternRedactor().redact(turns).turns) == {}
