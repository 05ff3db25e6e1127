"""A screened pattern finds exactly what the pattern finds."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.core.statements.answers import conduct, form, orders, voice
from service.core.statements.grounding import lexicon
from service.core.statements.grounding.prefilters import Screened

PATTERNS = [
    value
    for module in (conduct, form, orders, voice, lexicon)
    for value in vars(module).values()
    if isinstance(value, Screened)
]
WORDS = st.sampled_from(
    "as instructed the rules never safe to touch live wires remove her meter THANK you an old man is required must be"
    " refunded 5 . , ! please make sure in 30 words or so a con-man Hi stop oxygen summary: ſtop".split()
)


@pytest.mark.parametrize(
    ("pattern", "text", "may"),
    [
        (r"\b(?:fool|crook)s?\b", "The Crooks left.", True),
        (r"\b(?:fool|crook)s?\b", "The croo ks left.", False),
        (r"remove (?:\w+ ){0,3}(?:meter|seal)", "remove the old bath", False),
        (r"remove (?:\w+ ){0,3}(?:meter|seal)", "a meter, remove it", False),  # it holds all parts, in another order
        (r"\d+|crook", "nothing", True),  # nothing is known of a figure
        (r"[Mm]eter", "a METER", True),
        (r"(?:crook)?", "nothing", True),
        (r"(?:crook)+", "nothing", False),
        (r"crook", "nothing, mañana", True),
    ],
)
def test_texts_without_the_needed_parts_are_not_searched(pattern, text, may):
    assert Screened(pattern, re.I).may_match(text) is may


@given(st.lists(WORDS, max_size=12).map(" ".join))
def test_every_pattern_of_the_guard_finds_what_it_finds_unscreened(text):
    for screened in PATTERNS:
        found = [match.span() for match in screened.finditer(text)]
        assert found == [match.span() for match in screened.pattern.finditer(text)], screened.pattern.pattern[:60]


@given(st.lists(WORDS, max_size=12), st.integers(0, 12))
def test_a_pattern_narrowed_to_a_text_finds_in_its_parts_what_it_finds_unscreened(words, cut):
    for screened in PATTERNS:
        narrowed = screened.within(" ".join(words))
        for part in (" ".join(words[:cut]), " ".join(words[cut:])):
            found = [match.span() for match in narrowed.finditer(part)] if narrowed else []
            assert found == [match.span() for match in screened.pattern.finditer(part)], screened.pattern.pattern[:60]


def test_the_guards_patterns_are_screened():
    assert [screened.pattern.pattern[:40] for screened in PATTERNS if not screened.rarest] == []
