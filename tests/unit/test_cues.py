"""A cue never rules out what its pattern would find, whatever the text; and letters that a pattern takes for others are read."""

import functools
import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service import cues, dated, days, mentions, notes, stated
from service.grounding import GroundingSource, find_unsupported
from service.interaction import Interaction
from service.lexicon import CHANNEL_PARTS, CHANNEL_WORDS
from service.tasks.summarize import TASK, SummarizeInputs

NOW = datetime(2026, 11, 21, 9, tzinfo=UTC)
ROOT = Path(__file__).resolve().parents[2]
PIECES = (
    "called twice, emailed 4x, only one chat, 3 prior calls, double; Tues, thursdays next friday until Nov. 3rd 3 May 11/03/26 "
    "since March the 20th in 5 businessdays or two weeks ago 24h 18h30 half past noon 45c 3k forty dollars and ten cents 1/3 "
    "mañana 30 de octubre third e-mails phone menu Web Site VOICEMAIL texted tweets App"
).split(" ")
TEXTS = st.lists(st.sampled_from(PIECES) | st.text(max_size=4), max_size=12).flatmap(
    lambda parts: st.sampled_from(("", " ", "\n")).map(lambda gap: gap.join(parts))
)


def _everything(text):
    item = Interaction(interaction_id="i", channel="agent", timestamp=NOW, intent="x", text=text)
    source = GroundingSource([item], as_of=NOW, contact_reason=text[:100])
    read = [
        (name, getattr(owner, name))
        for owner in (source, stated.stated_in(text), stated.StatedDays(stated.stated_in(text), NOW.date()))
        for name, part in vars(type(owner)).items()
        if isinstance(part, functools.cached_property) and name != "_has_digits"  # a cue itself
    ]
    assert len(read) > 20
    return read, mentions.find_mentions(text), find_unsupported(text, source)


@given(TEXTS)
def test_with_every_cue_given_nothing_else_is_found(text):
    with pytest.MonkeyPatch.context() as patch:
        with_cues = _everything(text)
        for module in (dated, days, mentions, notes, stated):
            for name in ("holds_word", "holds_part", "holds_digit"):
                if hasattr(module, name):
                    patch.setattr(module, name, lambda *_: True)
        stated._kept.cache_clear()
        assert _everything(text) == with_cues
    stated._kept.cache_clear()


def test_every_channel_word_of_the_cases_has_its_part():
    texts = [
        item["text"]
        for path in (ROOT / "datasets" / "summarize").glob("*.jsonl")
        for line in path.read_text(encoding="utf-8").splitlines()
        for item in json.loads(line).get("inputs", {}).get("interactions", [])
    ]
    named = [(family, text) for text in texts for family, pattern in CHANNEL_WORDS.items() if pattern.search(text)]
    assert len(named) > 100
    assert all(cues.holds_part(text, CHANNEL_PARTS[family]) for family, text in named)


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("on the f\u0131rst of November, s\u0131xty dollars", "November 1, $60"),
        ("\u017feven days, fr\u0130, augu\u017ft 3", "Aug 3, 7 days"),
        ("3 de \u017feptiembre, half past s\u0131x", "Sept 3 at 6:30"),
    ],
)
def test_letters_that_a_pattern_takes_for_others_are_read(text, answer):
    item = Interaction(interaction_id="i", channel="agent", timestamp=NOW, intent="x", text=text)
    inputs = SummarizeInputs(as_of=NOW, account_number="1234567890", contact_id="c", interactions=(item,))
    assert TASK.guard(inputs)(answer) == ()
    assert next(iter(TASK.in_process.values()))(inputs)


def test_what_was_read_is_kept_and_what_days_it_means_is_not():
    stated._kept.cache_clear()
    found = stated.stated_in("due tomorrow")
    assert found is stated.stated_in("due tomorrow")
    day, other = NOW.date(), NOW.date().replace(day=1)
    assert stated.StatedDays(found, day).pointed != stated.StatedDays(found, other).pointed
    stated.stated_in("due tomorrow " * 500)
    assert stated._kept.cache_info().currsize == 1
