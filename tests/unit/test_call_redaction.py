"""Redaction of calls: before anything else sees a turn, and none when in doubt."""

import pytest

from service.calls import redaction
from service.calls.failure import CallFailed, Reason
from service.calls.redaction import PatternRedactor
from service.redacted import LONGEST_TEXT
from service.scorecard.transcript import Turn


def turn(text, speaker="customer"):
    return Turn(speaker=speaker, start_s=0, text=text)


def test_what_is_found_is_counted_by_kind_and_not_what_came_so():
    found = PatternRedactor().redact(
        [turn("I'm at d.marchetti@example.com, again d.marchetti@example.com"), turn("[name] said 4111 1111 1111 1111")]
    )
    assert [one.text for one in found.turns] == ["I'm at [email], again [email]", "[name] said [number]"]
    assert found.found == {"email": 2, "number": 1}
    assert found.by == "patterns-1"


def test_nothing_found_is_nothing_claimed():
    assert PatternRedactor().redact([turn("It is fine now.")]).found == {}


def test_a_text_that_cannot_be_redacted_fails_the_call(monkeypatch):
    with pytest.raises(CallFailed) as caught:
        PatternRedactor().redact(
            [turn("fine"), turn("x" * LONGEST_TEXT).model_copy(update={"text": "x" * (LONGEST_TEXT + 1)})]
        )
    assert caught.value.reason is Reason.REDACTION
    assert "turn 1" in str(caught.value)

    def broken(text):
        raise ValueError("Delphine Marchetti")

    monkeypatch.setattr(redaction, "redacted", broken)
    with pytest.raises(CallFailed) as caught:
        PatternRedactor().redact([turn("hello")])
    assert "Delphine" not in str(caught.value)
    assert caught.value.__cause__ is None
