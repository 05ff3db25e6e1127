"""Intents by meaning: what is guessed, when the guess counts, what is asked about, and where nothing is installed."""

import base64
import json
import sys
from datetime import UTC, datetime
from math import exp

import numpy as np
import pytest
from pydantic import ValidationError
from structlog.testing import capture_logs

from service.core.run.dialogue.task import DialogueSoFar
from service.core.run.dialogue.turn import DialogueInputs, Spoken
from service.core.tasks.assistant import log_intent
from service.core.tasks.assistant.bank import Bank
from service.core.tasks.assistant.knowledge import bank_knowledge
from service.core.tasks.assistant.reply import AssistantReply
from service.core.tasks.assistant.rules import rules, rules_by_meaning
from service.core.tasks.assistant.tools import METHODS
from service.core.tasks.assistant.understanding import by_meaning
from service.core.tasks.assistant.understanding.classifier import (
    IntentClassifier,
    IntentWeights,
    TroubleMargin,
    TroubleReader,
    read_weights,
)
from service.core.tasks.assistant.understanding.intents import Guess
from service.core.tasks.assistant.understanding.talk import talk_of
from service.core.unit.question import ToolTurn
from service.kit.frame.errors import ConfigurationError, KnowledgeError, ModelUnusable

RULES = sys.modules["service.core.tasks.assistant.rules"]  # the package exports a function of that name
EMBEDDER, OTHER = "a" * 64, "b" * 64
QUEUE_WORDS = "Shall I be served soon, kind sir?"  # which the lexicon does not know


class TwoWords:
    """An embedder of two dimensions: how often a text says "card", and how often "line"."""

    digest, dimensions = EMBEDDER, 2

    def embed(self, texts):
        return np.array([[text.count("card"), text.count("line")] for text in texts], np.float32)


def weights(**changes):
    fields = {
        "embedder": EMBEDDER,
        "dimensions": 2,
        "trained_on": OTHER,
        "temperature": 2.0,
        "intents": ("card", "queue"),
        "intercepts": (0.0, 1.0),
        "coefficients": base64.b64encode(np.array([[4, 0], [0, 4]], "<f4").tobytes()),
    }
    return IntentWeights.model_validate(fields | changes)


def guessing(intent, confidence):
    return lambda message: Guess(intent=intent, confidence=confidence)


def heard(message, guess, history=()):
    return talk_of(DialogueInputs(conversation_id="conv-1", message=message, history=history), bank_knowledge(), guess)


def test_a_probability_is_the_softmax_of_scores_over_the_temperature():
    classifier = IntentClassifier(weights(), TwoWords())
    guess = classifier.guess("card")
    assert guess.intent == "card"
    assert guess.confidence == pytest.approx(exp(4 / 2) / (exp(4 / 2) + exp(1 / 2)))
    assert classifier.guess("nothing") == Guess(intent="queue", confidence=pytest.approx(exp(0.5) / (1 + exp(0.5))))


@pytest.mark.parametrize(
    "changes",
    [
        {"intercepts": (0.0,)},
        {"intents": ("card", "card")},
        {"dimensions": 3},
        {"temperature": 0},
        {"intents": ("card", "lottery")},
    ],
)
def test_weights_that_do_not_fit_together_are_refused(changes):
    with pytest.raises(ValidationError):
        weights(**changes)


def test_weights_for_another_embedding_model_are_refused():
    with pytest.raises(ConfigurationError, match="another embedding model; train with `omni intents train`"):
        IntentClassifier(weights(embedder=OTHER), TwoWords())


def test_damaged_weights_are_one_line():
    with pytest.raises(ConfigurationError, match="omni intents train") as found:
        read_weights(json.dumps({"intents": []}).encode())
    assert "\n" not in str(found.value)


def test_a_sure_guess_decides_what_words_do_not_say():
    assert heard(QUEUE_WORDS, None).understood is False
    talk = heard(QUEUE_WORDS, guessing("queue", 0.7))
    assert (talk.understood, talk.open, talk.intent, talk.lost) == (True, ("queue",), "queue", 0)


@pytest.mark.acceptance("turn-15")
def test_a_guess_below_070_is_asked_about():
    talk = heard(QUEUE_WORDS, guessing("queue", 0.699))
    assert (talk.understood, talk.open, talk.intent, talk.lost) == (False, (), "unclear", 1)


@pytest.mark.parametrize(
    ("message", "intent"),
    [
        ("Can I talk to a person?", "person"),
        ("I need a mortgage.", "off_topic"),
        ("Where is your nearest branch?", "branch"),
        ("Are you a robot?", "ai"),
        ("I was scammed.", "sensitive"),
        ("What does my wife's statement say?", "capability"),
        ("Hello", "talk"),
    ],
)
def test_words_that_say_it_go_before_every_guess(message, intent):
    assert heard(message, guessing("callback", 1.0)).intent == intent


def test_trouble_that_no_words_show_is_told_by_meaning():
    def guess(text):
        return Guess(intent="talk", confidence=1.0, trouble="abuse")

    talk = heard("He keeps an eye on every penny here", guess)
    assert (talk.heard.trouble, talk.heard.handover) == ("abuse", "sensitive_topic")
    assert heard("Yes please", guess).heard.trouble is None
    spanish = heard("me da lo justo para el autobús", guess)
    assert (spanish.heard.trouble, spanish.language) == ("abuse", "es")


def test_words_of_trouble_count_for_nothing_where_the_meaning_is_far_from_it():
    def guess(text):
        return Guess(intent="account", confidence=1.0, no_trouble=True)

    message = "Is there a payment holiday for a new account?"
    assert heard(message, None).heard.trouble == "cannot_pay"
    talk = heard(message, guess)
    assert (talk.heard.trouble, talk.heard.handover, talk.open) == (None, None, ("account",))


def test_the_margin_says_whether_there_is_trouble_and_the_probabilities_which():
    def of_trouble(intercept, labels=("fraud", "ordinary")):
        support = base64.b64encode(np.array([[127, 0], [0, 127]], "i1").tobytes())
        margin = TroubleMargin(
            gamma=1.0, intercept=intercept, support=support, duals=base64.b64encode(np.array([1, -1], "<f4").tobytes())
        )
        return weights(intents=labels, margin=margin)

    sure, unsure, far = (
        IntentClassifier(weights(), TwoWords(), TroubleReader(of_trouble(size), TwoWords())) for size in (0, -1.0, -3)
    )
    assert (sure.guess("card").trouble, unsure.guess("card").trouble) == ("fraud", None)
    assert (sure.guess("line").trouble, unsure.guess("card").no_trouble, far.guess("card").no_trouble) == (
        None,
        False,
        True,
    )
    picture = TroubleReader(of_trouble(0, ("picture", "fraud")), TwoWords()).read_into(
        Guess(intent="card", confidence=0.9), "card"
    )
    assert (picture.trouble, picture.no_trouble) == (None, False)
    with pytest.raises(ConfigurationError, match="no margin"):
        TroubleReader(weights(intents=("fraud", "ordinary")), TwoWords())
    with pytest.raises(ConfigurationError, match="another embedding model; train with `omni intents train --trouble`"):
        TroubleReader(weights(embedder=OTHER), TwoWords())


def test_an_answer_to_a_question_is_no_matter_of_guessing():
    history = (
        Spoken(by="customer", text="I'd like a card."),
        Spoken(by="assistant", text="Which debit card are you interested in?"),
    )
    assert heard("The black one, premium I think", guessing("callback", 1.0), history).open == ("card",)


@pytest.mark.parametrize(
    ("intent", "reason"),
    [("person", "explicit_request"), ("sensitive", "sensitive_topic"), ("capability", "capability_limitation")],
)
def test_a_sure_guess_may_call_a_person_in(intent, reason):
    assert heard("Zounds and gadzooks", guessing(intent, 0.9)).heard.handover == reason


@pytest.mark.parametrize("intent", ["talk", "unclear"])
def test_small_talk_and_riddles_are_asked_about_however_sure(intent):
    assert heard("Zounds and gadzooks", guessing(intent, 1.0)).understood is False


def reply_to(message):
    """The reply of the rules by meaning to a first message, and the tools that they used."""
    inputs, turns, uses = DialogueInputs(conversation_id="conv-1", message=message), (), []
    bank = Bank(
        knowledge=bank_knowledge(),
        records={"queue": {"waiting": 2}},
        clock=lambda: datetime(2026, 11, 24, 10, 30, tzinfo=UTC),
    )
    while not isinstance(said := rules_by_meaning(DialogueSoFar(inputs=inputs, turns=turns, may_use_tools=True)), str):
        contents = tuple(json.dumps(METHODS[use.tool](bank, **use.arguments)) for use in said.uses)
        uses += [use.tool for use in said.uses]
        turns = (*turns, ToolTurn(text="", uses=said.uses, contents=contents))
    return AssistantReply.model_validate_json(said), uses


@pytest.mark.acceptance("turn-15")
def test_the_rules_answer_from_a_tool_what_was_guessed(monkeypatch):
    monkeypatch.setattr(RULES, "guess_by_meaning", lambda pair: guessing("queue", 0.9))
    reply, tools = reply_to(QUEUE_WORDS)
    assert tools == ["queue_position"]
    assert "You would be number 3 in the queue" in reply.reply
    monkeypatch.setattr(RULES, "guess_by_meaning", lambda pair: guessing("queue", 0.6))
    reply, tools = reply_to(QUEUE_WORDS)
    assert (reply.action, reply.asks, tools) == ("clarify", ("request",), [])


def test_what_is_off_topic_by_its_meaning_is_declined(monkeypatch):
    monkeypatch.setattr(RULES, "guess_by_meaning", lambda pair: guessing("off_topic", 0.9))
    reply, _ = reply_to("Would you lend us a grand till Friday, guv?")
    assert "I can't help with that" in reply.reply


def test_without_the_extra_only_the_pair_that_guesses_cannot_answer(monkeypatch):
    def missing():
        raise KnowledgeError("the search in documents is not installed (onnxruntime missing)")

    monkeypatch.setattr(by_meaning, "require_installed", missing)
    document = DialogueSoFar(inputs=DialogueInputs(conversation_id="conv-1", message=QUEUE_WORDS))
    by_meaning.guess_by_weights.cache_clear()
    with pytest.raises(ModelUnusable, match=r"intents cannot be told by meaning: .*not installed"):
        rules_by_meaning(document)
    assert "I'm not sure I understood that" in rules(document)
    by_meaning.guess_by_weights.cache_clear()


def test_a_sure_riddle_where_something_else_was_asked_is_logged_as_read_by_nothing():
    asked = "What is the best phone number to call you back on?"
    history = (Spoken(by="customer", text="Call me back."), Spoken(by="assistant", text=asked))
    inputs = DialogueInputs(conversation_id="conv-1", message="purple monkey dishwasher", history=history)
    with capture_logs() as lines:
        log_intent(inputs, guessing("unclear", 0.98))
    assert [(line["intent"], line["read_by"]) for line in lines] == [("unclear", "nothing")]


@pytest.mark.parametrize(
    ("message", "guess", "fields"),
    [
        ("Where is your nearest branch?", None, ("branch", "words", None)),
        (QUEUE_WORDS, None, ("unclear", "nothing", None)),
        (QUEUE_WORDS, guessing("queue", 0.91234), ("queue", "meaning", 0.912)),
        (QUEUE_WORDS, guessing("queue", 0.3), ("unclear", "nothing", 0.3)),
    ],
)
@pytest.mark.acceptance("event.INTENT_READ", "turn-16")
def test_the_intent_is_logged_with_its_confidence_and_without_words(message, guess, fields):
    with capture_logs() as lines:
        log_intent(DialogueInputs(conversation_id="conv-1", message=message), guess)
    (line,) = lines
    assert (line["event"], line["intent"], line["read_by"], line["confidence"]) == ("INTENT_READ", *fields)
    assert not any(word in str(line) for word in ("served", "kind", "nearest"))
