"""A tenant's own words stay where they are no person's, and its agents' names become ``[agent]``."""

import pytest
from pydantic import TypeAdapter, ValidationError

from service.calls.redact.transcript import FindingRedactor, PatternRedactor, leftovers, redacted_call
from service.core.redaction.entities import EntitySpan
from service.core.redaction.own_words import NO_WORDS, OwnWord, OwnWords
from service.core.tasks.scorecard.transcript import Turn

OWN = OwnWords(
    words=("Kestrel Ridge Power", "Amoxicillin", "Jordan", "Acacia"), agents=("Lorcan", "Siobhan", "Will", "May")
)


def call(*said):
    return [Turn(speaker=speaker, start_s=0, text=text) for speaker, text in said]


def redacted(*said, own=OWN):
    return [turn.text for turn in redacted_call(PatternRedactor(), call(*said), None, own).turns]


def test_the_company_and_products_stay_and_agents_are_typed():
    said = (
        ("agent", "Thanks for calling Kestrel Ridge Power, this is Siobhan, how can I help?"),
        ("customer", "Hello Siobhan, the Amoxicillin is late, and Lorcan promised it for Friday."),
    )
    assert redacted(*said) == [
        "Thanks for calling Kestrel Ridge Power, this is [agent], how can I help?",
        "Hello [agent], the Amoxicillin is late, and [agent] promised it for Friday.",
    ]
    assert redacted(*said, own=NO_WORDS) == [
        "Thanks for calling [name] Power, this is [name], how can I help?",
        "[name], the [name] is late, and [name] promised it for Friday.",
    ]


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("I am paying with Amoxicillin 4111 1111 1111 1111 now.", "Amoxicillin [number]"),
        ("Please write to 12 Acacia Road about it.", "write to [address]"),
        ("You told me that Mrs Jordan would call me back.", "Mrs [name] would"),
        ("I want to speak about Michael Jordan and the bill.", "about [name] and the bill"),
        ("I spoke to Jordan Marchetti about the bill.", "to [name] about the bill"),
        ("Send it to jordan@example.com if you would.", "to [email] if"),
        ("The page www.jordan.example shows it to me, thanks.", "page [link] shows"),
        ("It is about the Jordan tariff that I have.", "the Jordan tariff"),
    ],
)
def test_a_listed_word_lets_no_number_address_or_name_beside_it_through(text, kept):
    assert kept in redacted(("customer", text))[0]


def test_a_listed_word_that_a_caller_gives_as_a_name_is_a_name_in_the_whole_call():
    said = (
        ("agent", "Could I have your full name for the account, please?"),
        ("customer", "Michael Jordan."),
        ("agent", "Thank you, then the Jordan account it is, Jordan."),
    )
    assert redacted(*said)[1:] == ["[name]", "Thank you, then the [name] account it is, [name]."]


def test_a_caller_with_an_agents_name_gives_a_name():
    said = (("agent", "This is Siobhan. What is your name, please?"), ("customer", "Yes, my name is Lorcan Doyle."))
    assert redacted(*said) == ["This is [agent]. What is your name, please?", "Yes, my name is [name]"]


def test_an_agents_name_that_is_a_common_word_is_typed_where_it_is_given():
    said = ("agent", "Good morning, my name is will. Will you hold? This is May speaking, and you may go in May.")
    assert redacted(said) == [
        "Good morning, my name is [agent]. Will you hold? This is [agent] speaking, and you may go in May."
    ]


class Finder:
    """Takes the words for what it is told to."""

    by, languages = "finder", frozenset({"en"})

    def __init__(self, *finds):
        self.finds = finds

    def find(self, passages):
        return [
            [
                EntitySpan(start=one.text.index(word), end=one.text.index(word) + len(word), kind=kind)
                for word, kind in self.finds
                if word in one.text
            ]
            for one in passages
        ]


@pytest.mark.parametrize(
    ("finds", "left"),
    [
        ((("Amoxicillin", "address"),), "They gave Amoxicillin to you and Ada."),
        ((("Amoxicillin to you", "address"),), "They gave [address] and Ada."),
        ((("Amoxicillin", "number"),), "They gave [number] to you and Ada."),
        ((("Ada", "name"),), "They gave Amoxicillin to you and [name]."),
    ],
)
def test_a_finder_may_not_take_listed_words_alone_for_a_name_or_a_place(finds, left):
    redactor = FindingRedactor(Finder(*finds), patterns=_Nothing())
    assert redactor.redact(call(("agent", "They gave Amoxicillin to you and Ada.")), OWN).turns[0].text == left


class _Nothing(PatternRedactor):
    def redact(self, turns, own=NO_WORDS):
        found = super().redact([], own)
        return type(found)(turns=tuple(turns), by="nothing", found={})


def test_the_second_look_finds_no_personal_data_in_listed_words():
    turns = call(("agent", "You are through to Kestrel Ridge Power, how can I help?"))
    assert leftovers(turns, OWN) == {}
    assert leftovers(turns) == {"name": 1}


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("", "is empty"),
        ("   ", "is empty"),
        (r"\d+", "holds more than letters"),
        ("Fibre 500", "a digit or pattern would let numbers through"),
        (".*", "holds more than letters"),
        ("[name]", "holds more than letters"),
        ("an", "fewer than 3 letters"),
        ("x" * 61, "at most 60"),
        (7, "valid string"),
        (None, "valid string"),
    ],
)
def test_a_word_that_would_hide_or_show_too_much_is_refused(word, said):
    with pytest.raises(ValidationError, match=said):
        TypeAdapter(OwnWord).validate_python(word)


@pytest.mark.parametrize("word", ["Kestrel Ridge Power", "O'Hara's", "AT&T", "St. Mary's", "Eun-ji", "Müller"])
def test_words_of_every_spelling_are_taken(word):
    assert TypeAdapter(OwnWord).validate_python(word) == word
