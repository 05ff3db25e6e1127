"""Presidio around a fake analyzer: patterns first, everything found goes, and nothing is kept when in doubt."""

import logging
from dataclasses import dataclass

import pytest

from service.calls.failure import CallFailed, FailureReason
from service.calls.redact.transcript import FindingRedactor
from service.calls.worker.build import build_redactor
from service.core.redaction import presidio
from service.core.redaction.entities import redact_entities
from service.core.redaction.finder import AskedText
from service.core.redaction.presidio import PresidioFinder
from service.core.tasks.scorecard.transcript import Turn
from service.kit.frame.errors import ConfigurationError
from service.kit.settings import Settings


@dataclass
class Result:
    entity_type: str
    start: int
    end: int


class Words:
    """Finds given words, exactly as they are written; remembers what it was asked."""

    def __init__(self, **words):
        self.words, self.texts, self.contexts = words, [], []

    def read(self, texts, *, lemmas):
        return [text.upper() for text in texts]

    def analyze(self, text, reading, context):
        assert reading == text.upper(), "another text's reading"
        self.texts.append(text)
        self.contexts.append(context)
        return [
            Result(kind, text.index(word), text.index(word) + len(word))
            for word, kind in self.words.items()
            if word in text
        ]


def turn(text, speaker="customer"):
    return Turn(speaker=speaker, start_s=0, text=text)


@pytest.fixture(autouse=True)
def _log():
    """Leave Presidio's logger as it was."""
    log = logging.getLogger("presidio-analyzer")
    before = log.propagate, log.handlers[:]
    yield
    log.propagate, log.handlers[:] = before


def redactor(found):
    return FindingRedactor(PresidioFinder(lambda: found))


def test_what_either_finds_is_taken_out_and_counted():
    found = redactor(Words(zofia="PERSON", leeds="LOCATION")).redact(
        [turn("Hello, zofia of leeds", "agent"), turn("Yes, d.marchetti@example.com")]
    )
    assert [one.text for one in found.turns] == ["Hello, [name] of [address]", "Yes, [email]"]
    assert found.found == {"address": 1, "email": 1, "name": 1}
    assert found.by.startswith("presidio")
    assert found.by.endswith("+patterns-3")
    assert len(found.by) <= 64  # the warehouse's column


def test_the_analyzer_sees_what_the_patterns_left_and_what_the_agent_asked():
    words = Words()
    redactor(words).redact(
        [turn("And what number?", "agent"), turn("(Music)", "system"), turn("It is 41111111"), turn("  ")]
    )
    assert words.texts == ["And what number?", "(Music)", "It is [number]"]
    assert words.contexts[2] == ["and", "what", "number?"]


def test_in_a_text_without_capitals_names_are_looked_for_with_them():
    found = redactor(Words(Zofia="PERSON", Hull="LOCATION", Number="PERSON")).redact(
        [turn("zofia here, number, in hull")]
    )
    # a raised "Number" is no name, and places are taken as they are written alone
    assert found.turns[0].text == "[name] here, number, in hull"
    assert redactor(Words(Zofia="PERSON")).redact([turn("So zofia")]).turns[0].text == "So zofia"


@pytest.mark.parametrize(
    ("text", "found", "left"),
    [
        ("Promised for Nov 3.", "Nov 3", "Promised for Nov 3."),
        ("Leftover Oct 30 bill", "Leftover Oct 30", "[name] Oct 30 bill"),
        ("Away 3-9 sept, back", "3-9 sept", "Away 3-9 sept, back"),
        ("May Wong and April Jones", "May Wong", "[name] and April Jones"),
    ],
)
def test_a_date_stays_also_within_what_is_taken_for_a_name(text, found, left):
    class Found(Words):
        def analyze(self, asked, reading, context):
            return [Result("PERSON", asked.index(found), asked.index(found) + len(found))] if found in asked else []

    assert [redact_entities(text, spans) for spans in PresidioFinder(Found).find([AskedText(text=text)])] == [left]


def test_lemmas_are_made_only_where_something_was_asked():
    class Noted(Words):
        def read(self, texts, *, lemmas):
            self.texts.append(lemmas)
            return super().read(texts, lemmas=lemmas)

    noted = Noted()
    finder = PresidioFinder(lambda: noted)
    finder.find([AskedText(text=" ")])
    finder.find([AskedText(text=" "), AskedText(text=" ", asked="And you?")])
    assert noted.texts[::2] == [False, True]


class Breaks:
    def __init__(self, fails):
        self.fails = fails

    def read(self, texts, *, lemmas):
        return texts

    def analyze(self, text, reading, context):
        return self.fails(text)


def unknown_kind(text):
    return [Result("SHOE_SIZE", 0, 1)]


def outside(text):
    return [Result("PERSON", 0, len(text) + 1)]


def raises(text):
    raise RuntimeError(text)


def gives_up(text):
    logging.getLogger("presidio-analyzer").warning("Regex pattern timed out in %s", text)
    return []


@pytest.mark.parametrize("fails", [unknown_kind, outside, raises, gives_up])
def test_when_in_doubt_the_call_fails_and_quotes_nothing(fails, caplog):
    with pytest.raises(CallFailed) as caught:
        redactor(Breaks(fails)).redact([turn("hello zofia")])
    assert caught.value.reason is FailureReason.REDACTION
    assert "text 0" in str(caught.value)
    assert "zofia" not in (str(caught.value) + caplog.text).lower()
    assert caught.value.__cause__ is None
    # the next call is read as if nothing had been
    assert redactor(Words()).redact([turn("fine")]).turns[0].text == "fine"


def test_a_model_that_does_not_load_fails_the_call_and_says_what_to_install():
    def broken():
        raise OSError("no weights")

    with pytest.raises(CallFailed, match=r"omni-insights\[redaction\]") as caught:
        FindingRedactor(PresidioFinder(broken)).redact([turn("hello")])
    assert caught.value.reason is FailureReason.REDACTION


@pytest.mark.parametrize(
    ("installed", "settings", "by"),
    [
        (False, {}, "patterns-3"),
        (True, {}, "presidio"),
        (True, {"redactor": "patterns"}, "patterns-3"),
        (True, {"environment": "aws"}, "amazon-comprehend-en"),
        (False, {"environment": "aws", "transcribe_language": "es-US"}, "amazon-comprehend-es"),
    ],
)
def test_the_redactor_is_the_settings_or_the_installed_one(monkeypatch, installed, settings, by):
    monkeypatch.setattr(presidio, "is_installed", lambda: installed)
    assert build_redactor(Settings(**settings)).by.startswith(by)


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"redactor": "presidio"}, "EXTRAS=1"),
        ({"redactor": "comprehend", "transcribe_language": "de-DE"}, "OMNI_REDACTOR=patterns"),
        ({"redactor": "comprehend", "aws_endpoint": "http://127.0.0.1:1"}, "local AWS"),
    ],
)
def test_an_unavailable_redactor_is_a_configuration_error(monkeypatch, settings, says):
    monkeypatch.setattr(presidio, "is_installed", lambda: False)
    with pytest.raises(ConfigurationError, match=says):
        build_redactor(Settings(**settings))
