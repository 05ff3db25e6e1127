"""Patterns with the look-behind after the first character match the same as with the look-behind in front."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.core.statements.grounding import date_mentions, history_facts, informal_numbers, mentions, names, sentence

FIGURE = r"(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?"
AFTER_DATE = r"(?:(?<![\d/$.#-])|(?<=\d/\d-)|(?<=/\d\d-))"  # a hyphen only after a date
PLAIN = {
    mentions.FIGURES: rf"(?<![\w.]){FIGURE}",
    mentions._NUMBER: rf"(?<![\w$.@])(?:{FIGURE})(?=[^\d]|$)",
    mentions._DOLLAR_WORDS: rf"(?<![\w$.,])({FIGURE})(?:-|\s*)(?:dollars?|bucks|usd)\b",
    mentions._CENTS: rf"(?<![\w$.,])({FIGURE})\s*(?:cents?\b|¢)",
    mentions._ID_MIXED: (
        r"(?<![\w$.@-])(?![AP]M-)(?=[\w-]*[A-Za-z])(?=[\w-]*\d)[A-Z]{1,8}[A-Za-z]{0,3}(?:-?[A-Z0-9])+(?![\w@])"
    ),
    mentions._ID_DASHED: r"(?<![\w$.,-])\d{3,}(?:-\d{2,})+(?![\w-])|(?<![\w$.,-])\d{2,}-\d{4,}(?![\w-])",
    mentions._ID_LONG: r"(?<![\w$.,])\d{5,}(?![\w]|\.\d)",
    mentions.TIME_OF_DAY: (
        r"(?<![\d:$.])(?:[01]?\d|2[0-3])(?::[0-5]\d)?\s?[ap](?:\.m\.|m\b|\b)"
        r"|(?<![\d:$.])(?:[01]?\d|2[0-3]):[0-5]\d(?![\d:])"
    ),
    informal_numbers._CENTS: r"\d+(?:\.\d+)?\s*(?:cents?\b|¢|c/)|\d+(?:\.\d+)?c\b",
    informal_numbers._THOUSANDS: r"(\d+(?:\.\d+)?)\s?k\b",
    informal_numbers._RUN_TOGETHER: (
        r"(?<![\w$.,:/#-])([01]?\d|2[0-3])([0-5]\d)\s?(?:[ap]\.?m?\.?)?(?![\w$:/-]|[.,]\d)"
    ),
    informal_numbers._HOURS: r"(?<![\w$.,:/#-])([01]?\d|2[0-3])\s?h\s?([0-5]\d)?\b",
    date_mentions._ISO: r"\b(20\d\d)-(\d\d)-(\d\d)(?!\d)",
    date_mentions._SLASH: AFTER_DATE + r"(1[0-2]|0?[1-9])/(3[01]|[12]\d|0?[1-9])(?:/(20\d\d|\d\d))?(?![\d/])",
    date_mentions._SLASH_YEAR: AFTER_DATE + r"(1[0-2]|0?[1-9])/(20\d\d)(?![\d/])",
    informal_numbers._FRACTION: r"(?<![\d/])([1-6])/([1-6])(?![\d/])",
    history_facts._VERSION: r"\b[vV](?=\d)",
    names._CAPITALISED: r"(?<![\w@#/$.-])[^\W\d_a-z][\w'&]*(?:-[^\W\d_][\w']*)*",
}
PIECES = [
    *"0123456789",
    *"$.,:/#-@ v|aphxAP\n",
    "23",
    "12",
    "20",
    "1,234",
    ".50",
    " cents",
    "¢",
    "c",
    "PM",
    "a.m.",
    "18h",
    "٣",
]
PIECES += ["k", "2026-", "-11-", "VM-", "dollars", "USD", "É", "é", "o'B"]
FIGURED = st.lists(st.sampled_from(PIECES), max_size=14).map("".join)


@pytest.mark.parametrize("pattern", PLAIN, ids=lambda pattern: pattern.pattern[:30])
@given(text=FIGURED)
def test_a_look_behind_after_the_first_character_matches_the_same(pattern, text):
    plain = re.compile(PLAIN[pattern], pattern.flags)
    found, expected = list(pattern.finditer(text)), list(plain.finditer(text))
    assert [match.span() for match in found] == [match.span() for match in expected]
    if plain.groups == pattern.groups:
        assert [match.groups() for match in found] == [match.groups() for match in expected]


@given(text=FIGURED)
def test_amounts_have_a_dollar_sign_or_cents(text):
    amounts = re.compile(
        r"\$\s?((?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?)|(?<![\w.,])((?:\d{1,3}(?:,\d{3})+|\d+)\.\d\d)(?![\d.])"
    )
    expected = {sentence.read_number(match[1] or match[2]) for match in amounts.finditer(text)}
    assert history_facts._amounts(text) == expected


@given(
    st.lists(
        st.sampled_from([*".!?;\"')] \n", "Dr", "No", "approx", "Nov", "a.m", "J", "word", "sept"]), max_size=14
    ).map("".join)
)
def test_sentences_end_as_with_the_plain_pattern(text):
    ends = re.compile(r"(?<=[.!?;])(?:[\"')\]]*)\s+|\n+")
    parts, start = [], 0
    for match in ends.finditer(text):
        before = text[max(start, match.start() - sentence.LEAD) : match.start()]
        often = re.search(r"\b(?:no|approx|nov|sept|a\.m)\.$", before, re.I)
        capital = re.match("[A-Z][a-z]", text[match.end() :])
        if "\n" not in match[0] and (sentence.NOT_AN_END.search(before) or (often and not capital)):
            continue
        parts.append(text[start : match.start()].strip())
        start = match.end()
    parts.append(text[start:].strip())
    assert sentence.split_sentences(text) == [part for part in parts if part]


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("Off at 3 p.m. Power is back.", ["Off at 3 p.m.", "Power is back."]),
        ("Off at 3 p.m. Monday.", ["Off at 3 p.m. Monday."]),
        ("Due Oct. 5, or no. 7.", ["Due Oct. 5, or no. 7."]),
        ("A yes or no. The notice stands.", ["A yes or no.", "The notice stands."]),
        ("It is July's. That stands.", ["It is July's.", "That stands."]),
        ("To unit B. The tag is off.", ["To unit B.", "The tag is off."]),
        ("Halina B. Wrobel called.", ["Halina B. Wrobel called."]),
    ],
)
def test_an_abbreviation_ends_a_sentence_where_the_next_word_begins_one(text, parts):
    assert sentence.split_sentences(text) == parts


def test_a_scanner_without_digits_is_not_searched_for_digits_again():
    read = sentence.SentenceScanner(text="3 of them", remaining="3 of them")
    assert read.holds_digit()
    read.blank(0, 1)
    assert not read.holds_digit()
    read.remaining = "3"
    assert not read.holds_digit()


def test_typographic_characters_and_lookalike_letters_become_plain():
    assert sentence.clean("‘a’ “b” –—‑  é İıſK") == "'a' \"b\" ---  é IisK"
