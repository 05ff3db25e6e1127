"""Dates and times are found as people write them."""

import pytest

from eval.dialogue.judging import states


@pytest.mark.parametrize(
    ("form", "text", "found"),
    [
        ("2026-12-03", "It is on 2026-12-03.", True),
        ("2026-12-03", "It is on 3 December 2026.", True),
        ("2026-12-03", "You come on Thursday, December 3rd, at 9.", True),
        ("2026-12-03", "See you on 3 Dec at 20:15.", True),
        ("2026-12-03", "It is on 3 December 2027.", False),
        ("2026-12-03", "It is on 30 December.", False),
        ("2026-12-03 + !not", "It is not on 3 December.", False),
        ("2026-12-03 + 15:40", "On 3 December at 3:40 pm.", True),
        ("2026-12-03 + 15:40", "On 3 December at 3:40 p.m.", True),
        ("15:40", "At 3:40 in the morning.", False),
        ("15:40", "At 15:40.", True),
        ("09:05", "At 9:05.", True),
        ("8:30", "At 8:30 am.", True),
        ("A2026-12-03", "A2026-12-03", True),  # an id
        ("free + !2026-12-03", "Free on 3 December.", True),
        ("order 12", "We have order 12 here.", True),
    ],
)
def test_a_form_is_found_as_people_write_it(form, text, found):
    assert states([form], ["Hello.", text]) is found
