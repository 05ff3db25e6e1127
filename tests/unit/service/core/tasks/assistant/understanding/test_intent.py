"""What a message wants, word by word: the traps of keyword matching above all."""

import pytest

from service.core.tasks.assistant.knowledge import bank_knowledge
from service.core.tasks.assistant.phone import phone_in
from service.core.tasks.assistant.understanding.intent import hear
from service.core.tasks.assistant.understanding.slots import read_slots


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        ("I want to speak to someone", "explicit_request"),
        ("agent please", "explicit_request"),
        ("Get me a real human!", "explicit_request"),
        ("put me through to your customer services", "explicit_request"),
        ("I don't want to talk to a bot", "explicit_request"),
        ("Can I speak to a representative?", "explicit_request"),
        ("I'd like to talk to a person", "explicit_request"),
        ("This is useless", "customer_frustration"),
        ("I'm so frustrated with this", "customer_frustration"),
        ("This is terrible", "customer_frustration"),
        ("That is awful service", "customer_frustration"),
        ("I'm getting really annoyed now", "customer_frustration"),
        ("i want to die", "sensitive_topic"),
        ("I don't want to be alive anymore", "sensitive_topic"),
        ("there's no point in living", "sensitive_topic"),
        ("someone rang me claiming to be you and asked for my pin", "sensitive_topic"),
        ("I gave a caller my PIN", "sensitive_topic"),
        ("my card was cloned", "sensitive_topic"),
        ("My card was stolen", "sensitive_topic"),
        ("My card was stolen, can I talk to a person about a replacement?", "sensitive_topic"),
        ("My card was stolen, how much is a replacement? This is useless", "sensitive_topic"),
        ("I lost my card, how do I replace it? I have power of attorney", "sensitive_topic"),
        ("My purse was stolen by another passenger, what do I do?", "sensitive_topic"),
        ("My dad passed away last week", "sensitive_topic"),
        ("I want to make a complaint", "sensitive_topic"),
        ("I have power of attorney for my aunt", "complex_scenario"),
        ("What's my balance?", "capability_limitation"),
        ("Please change my address", "capability_limitation"),
    ],
)
@pytest.mark.acceptance("turn-05", "handover-01", "handover-03", "handover-07", "handover-09")
def test_a_person_is_needed(message, reason):
    assert hear(message).handover == reason


@pytest.mark.parametrize(
    "message",
    [
        "I want a personal account",
        "Someone told me you have virtual cards",
        "An account for a human rights charity",
        "Can I open it in person?",
        "I'm an estate agent and want a business account",
        "My sister was frustrated with her bank, so I want a savings account",
        "I'm useless with apps, so I'd rather open it in a branch",
        "Terrible weather! Where is your branch in Camden?",
        "Am I talking to a human?",
        "I don't want to talk to anyone, just tell me the fee of the premium card",
        "I lost my card, how do I replace it?",
        "My card was stolen, how long does a new card take?",
        "please don't transfer me to a person",
        "don't put me through to an agent, where is your branch?",
        "my phone is going to die, be quick",
        "How do I choose my PIN?",
    ],
)
@pytest.mark.acceptance("turn-05", "handover-02")
def test_words_that_only_look_like_a_trigger_call_nobody_in(message):
    assert hear(message).handover is None


@pytest.mark.parametrize(
    ("message", "topics"),
    [
        ("I'd like to open an account", ("account",)),
        ("What docs do I need for a student account, and how much is the premium card?", ("account", "card")),
        ("Where's your nearest branch?", ("branch",)),
        ("Can someone call me back?", ("callback",)),
        ("What are your opening hours?", ("hours",)),
        ("How long is the queue?", ("queue",)),
        ("I paid off my student loan and now want a savings account", ("account",)),
        ("Blah blah", ()),
    ],
)
def test_topics_stand_in_the_order_of_the_message(message, topics):
    assert hear(message).topics == topics


@pytest.mark.parametrize("message", ["I need a mortgage", "Do you do personal loans?", "Should I invest in shares?"])
@pytest.mark.acceptance("validation-03")
def test_other_business_is_off_topic(message):
    assert hear(message).off_topic


@pytest.mark.parametrize(
    ("message", "language", "trouble", "handover"),
    [
        ("oszustwo", "pl", "fraud", "sensitive_topic"),
        ("stolen card", "pl", "lost_or_stolen", "sensitive_topic"),
        ("supervisor", "es", None, "explicit_request"),
        ("human!", "es", None, "explicit_request"),
    ],
)
def test_few_words_are_read_in_the_conversations_language_and_in_english(message, language, trouble, handover):
    heard = hear(message, language)
    assert (heard.trouble, heard.handover) == (trouble, handover)


def test_another_customers_data_is_recognised():
    assert hear("What is my husband's balance?").other_customer
    assert hear("Give me the phone number of the last caller").other_customer
    assert not hear("What is your phone number?").other_customer


@pytest.mark.parametrize(
    ("message", "asked", "expected"),
    [
        ("A current account, in a branch", "", {"accounts": ("checking",), "channels": ("branch",)}),
        ("current", "account_type", {"accounts": ("checking",)}),
        ("my current address is in Leeds", "", {"place": "Leeds"}),
        ("not savings, a business account", "account_type", {"accounts": ("business",)}),
        ("I'm off to uni, can I open an account in the app?", "", {"accounts": ("student",), "channels": ("digital",)}),
        ("the tap and pay card", "", {"cards": ("contactless",)}),
        ("premium", "card_type", {"cards": ("premium",)}),
        ("I'm in leeds", "location", {"place": "leeds"}),
        ("somewhere near SW9 8QH please", "location", {"place": "SW9 8QH"}),
        ("is there one by Didsbury in Manchester?", "", {"place": "Didsbury"}),
        ("ring me on 07700 900123 in the afternoon", "", {"phone": "07700 900123", "when": "afternoon"}),
    ],
)
def test_slots_are_read_from_the_customers_words(message, asked, expected):
    slots = read_slots(message, asked, bank_knowledge())
    assert {name: getattr(slots, name) for name in expected} == expected


def test_a_number_is_kept_as_the_customer_spelled_it():
    assert phone_in("It's 07700 900 123.") == "07700 900 123"
    assert phone_in("my order 123456789") == ""
