"""A pre-filter never skips a pattern that would match, whatever the text, including letters that ``re.I`` treats as others."""

import functools
import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.core.statements.grounding import (
    date_mentions,
    date_ties,
    history_facts,
    informal_numbers,
    mentions,
    prefilters,
    quotable,
    relative_days,
    sentence,
)
from service.core.statements.grounding.check import GroundingSource, find_unsupported
from service.core.statements.grounding.lexicon import CHANNEL_PARTS, CHANNEL_WORDS
from service.core.tasks.summarize import TASK, SummarizeInputs
from service.core.unit.interaction import Interaction

NOW = datetime(2026, 11, 21, 9, tzinfo=UTC)
ROOT = Path(__file__).resolve().parents[6]
PIECES = (
    "called twice, emailed 4x, only one chat, 3 prior calls, double; Tues, thursdays next friday until Nov. 3rd 3 May 11/03/26 "
    "since March the 20th in 5 businessdays or two weeks ago 24h 18h30 half past noon 45c 3k forty dollars and ten cents 1/3 "
    "mañana 30 de octubre third e-mails phone menu Web Site VOICEMAIL texted tweets App 2026-11-03 Nov 2026 11/2026 late May "
    "$1,250.50 $3k 45 cents 20 dollars ticket #4471 VM-5518 work order 00123 nine one two three four five six 445566778899 "
    "$5one AB12345678 12/3/26987654321 PIN: 8823 password is hunter42x ssn 123456789 card exp 11/27 born 1/2/1980 system: </user>"
).split(" ")
TEXTS = st.lists(st.sampled_from(PIECES) | st.text(max_size=4), max_size=12).flatmap(
    lambda parts: st.sampled_from(("", " ", "\n")).map(lambda gap: gap.join(parts))
)


def _everything(text):
    item = Interaction(interaction_id="i", channel="agent", timestamp=NOW, intent="x", text=text)
    source = GroundingSource([item], as_of=NOW, contact_reason=text[:100])
    said = history_facts.facts_of(text)
    together = history_facts.HistoryFacts([said], said)
    read = [
        (name, getattr(owner, name))
        for owner in (source, said, history_facts.TextDays(said, NOW.date()), together)
        for name, part in vars(type(owner)).items()
        if isinstance(part, functools.cached_property) and name != "_interaction_facts"
    ]
    assert len(read) > 20
    read += [(name, getattr(said, name)) for name in ("cleaned", "plain", "dates", "undated", "months")]
    named = [together.names_channel(family) for family in CHANNEL_WORDS]
    found = mentions.find_mentions(text), find_unsupported(text, source)
    return (
        read,
        named,
        found,
        quotable.plays_role(text),
        quotable.states_secret(text),
        quotable.secrets_in(text),
        quotable.why_not(text),
    )


@given(TEXTS)
def test_with_all_prefilters_off_the_same_is_found(text):
    with pytest.MonkeyPatch.context() as patch:
        with_cues = _everything(text)
        for module in (
            date_ties,
            date_mentions,
            relative_days,
            mentions,
            informal_numbers,
            quotable,
            sentence,
            history_facts,
        ):
            for name in ("holds_word", "holds_part", "holds_digit", "_may_spell_digits"):
                if hasattr(module, name):
                    patch.setattr(module, name, lambda *_: True)
            if hasattr(module, "channel_patterns"):
                patch.setattr(module, "channel_patterns", lambda _: list(CHANNEL_WORDS.items()))
        history_facts._kept.cache_clear()
        assert _everything(text) == with_cues
    history_facts._kept.cache_clear()


@given(TEXTS)
def test_every_text_that_a_pattern_matches_passes_its_prefilter(text):
    text = sentence.clean(text)
    lower = text.lower()
    for cue, found in (
        ("-" in text, date_mentions._ISO.search(text)),
        (
            "/" in text,
            date_mentions._SLASH.search(text)
            or date_mentions._SLASH_YEAR.search(text)
            or informal_numbers._FRACTION.search(text),
        ),
        ("/20" in text, date_mentions._SLASH_YEAR.search(text)),
        ("20" in text, date_mentions._MONTH_YEAR.search(lower)),
        (date_mentions._BEFORE_MONTH.search(lower), date_mentions._DAY_MONTH.search(lower)),
        (date_mentions._MONTH_HEAD.search(text), date_mentions._MONTH_ALONE.search(text)),
        (date_mentions.names_month(text), date_mentions.month_days(text) or date_mentions.months_of_notes(text)),
        ("$" in text, mentions.DOLLARS.search(text)),
        (prefilters.holds_word(text, mentions._DOLLAR_NAMES), mentions._DOLLAR_WORDS.search(text)),
        (prefilters.holds_word(text, mentions._CENT_NAMES), mentions._CENTS.search(text)),
        ("#" in text or prefilters.holds_word(text, mentions._ID_WORDS), mentions._ID_NAMED.search(text)),
        (informal_numbers._PAST_HOUR.search(lower), informal_numbers._PAST.search(lower)),
    ):
        assert cue or not found


@given(TEXTS)
def test_a_long_number_is_found_as_without_the_prefilter(text):
    left = quotable._NOT_AN_ID.sub(" x ", text)
    found = quotable._DIGITS.search(left) or quotable._MIXED_NUMBER.search(left) or quotable._SPOKEN_DIGITS.search(left)
    assert quotable.holds_number(text) is bool(found)


def test_every_channel_word_of_the_cases_passes_its_prefilter():
    texts = [
        item["text"]
        for path in (ROOT / "datasets" / "summarize").glob("*.jsonl")
        for line in path.read_text(encoding="utf-8").splitlines()
        for item in json.loads(line).get("inputs", {}).get("interactions", [])
    ]
    named = [(family, text) for text in texts for family, pattern in CHANNEL_WORDS.items() if pattern.search(text)]
    assert len(named) > 100
    assert all(prefilters.holds_part(text, CHANNEL_PARTS[family]) for family, text in named)


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("on the f\u0131rst of November, s\u0131xty dollars", "November 1, $60"),
        ("\u017feven days, fr\u0130, augu\u017ft 3", "Aug 3, 7 days"),
        ("3 de \u017feptiembre, half past s\u0131x", "Sept 3 at 6:30"),
    ],
)
def test_letters_that_ignoring_case_equates_with_i_k_and_s_are_read(text, answer):
    item = Interaction(interaction_id="i", channel="agent", timestamp=NOW, intent="x", text=text)
    inputs = SummarizeInputs(as_of=NOW, account_number="1234567890", contact_id="c", interactions=(item,))
    assert TASK.guard(inputs)(answer) == ()
    assert next(iter(TASK.in_process.values()))(inputs)


def test_text_facts_are_cached_and_days_are_not():
    history_facts._kept.cache_clear()
    found = history_facts.facts_of("due tomorrow")
    assert found is history_facts.facts_of("due tomorrow")
    day, other = NOW.date(), NOW.date().replace(day=1)
    assert history_facts.TextDays(found, day).pointed != history_facts.TextDays(found, other).pointed
    history_facts.facts_of("due tomorrow " * 500)
    assert history_facts._kept.cache_info().currsize == 1
