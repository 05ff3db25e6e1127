"""Joined texts state the same facts as the single texts: no pattern matches across the separator."""

from datetime import date

from hypothesis import given
from hypothesis import strategies as st

from service.core.statements.grounding.history_facts import SEPARATOR, HistoryFacts, TextDays, TextFacts
from service.core.statements.grounding.lexicon import CHANNEL_WORDS
from service.core.statements.grounding.relative_days import ordinal_days

WRITTEN = date(2026, 11, 21)
# Beginnings and ends of what takes several words.
PIECES = (
    "Nov 3 of May , 2026 2026 - 11 / 26 and or to 15 the 20th two hundred dollars and ten cents half past noon 12 : 30 pm h $ 45 "
    ".50 called us 3 times prior calls only one text message phone menu social media next Friday last week days ago business "
    "30 de octubre first VM-5518 Low Income Home Energy Assistance e- mail on hold ios é ’ Demand Charge v 7.3"
).split(" ")
TEXTS = st.lists(st.sampled_from(PIECES), max_size=7).flatmap(
    lambda parts: st.sampled_from(("", " ", "\n")).map(lambda gap: gap.join(parts))
)


def _stated(said):
    return said.spoken, said.amounts, said.figures, said.dates, frozenset(said.months), TextDays(said, WRITTEN).pointed


def _together(parts, reason):
    together = HistoryFacts(parts, reason)
    channels = frozenset(family for family in CHANNEL_WORDS if together.names_channel(family))
    return (
        channels,
        together.written_words,
        together.camel_words,
        together.initials,
        together.tokens,
        together.capitals,
        together.amounts,
        together.noted_amounts,
        together.counted,
        together.said,
        together.counts,
        together.clocks,
    )


def _joined(*found):
    return tuple(frozenset().union(*sets) for sets in zip(*found, strict=True))


@given(TEXTS, TEXTS, TEXTS)
def test_joined_texts_have_the_facts_of_each_text(one, other, reason):
    parts = TextFacts(one), TextFacts(other)
    whole = TextFacts(SEPARATOR.join((one, other)))
    assert _stated(whole) == _joined(*map(_stated, parts))
    dates = TextDays(whole, WRITTEN).dates
    (separate,) = _joined(*([TextDays(part, WRITTEN).dates] for part in parts))
    # "Nov" of one text is the month of "the 20th" of another: a text's days are read in all months that it names.
    assert separate <= dates
    assert all(month in whole.months and day in ordinal_days(whole.plain) for month, day, _ in dates - separate)
    nothing, why = TextFacts(""), TextFacts(reason)
    assert _together(parts, why) == _joined(*(_together([part], nothing) for part in parts), _together([], why))
    assert _together([whole], why) == _together(parts, why)
