from datetime import UTC, date, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.core.statements.grounding.check import GroundingSource, find_unsupported
from service.core.statements.grounding.relative_days import gap_fits, is_stretch, nearest_year, real_day
from service.core.unit.interaction import Interaction


@given(st.integers(1, 12), st.integers(1, 31), st.dates(date(1990, 1, 1), date(2090, 12, 31)))
def test_the_nearest_year_is_the_one_whose_day_is_nearest(month, day, written):
    around = [found for year in range(written.year - 1, written.year + 2) for found in real_day(year, month, day)]
    nearest = min(around, key=lambda found: abs((found - written).days)).year if around else written.year
    assert nearest_year(month, day, written) == nearest


@given(
    st.integers(0, 400),
    st.integers(0, 40),
    st.sampled_from("day days night week weeks months year kwh @540 times".split()),
)
def test_gap_fits_is_false_for_other_units(days, said, unit):
    assert is_stretch(unit) or not gap_fits(days, said, unit)


@pytest.mark.parametrize(
    ("text", "answer", "supported"),
    [
        ("Crew within 5 business days.", "A crew comes in 2027.", True),
        ("Crew within 99 weeks.", "A crew comes in 2028.", True),
        ("Crew comes.", "A crew comes in 2027.", False),
        ("Crew within 5 business days.", "A crew comes in 2028.", False),
        ("Crew comes.", "Called at 9:20.", True),
        ("Crew comes 18h30.", "Called at 6:30 PM.", True),
        ("Crew comes.", "Called at 9:40.", False),
    ],
)
def test_years_of_relative_days_and_the_contacts_own_time_are_supported(text, answer, supported):
    at = datetime(2026, 12, 30, 9, 20, tzinfo=UTC)
    item = Interaction(interaction_id="i", channel="agent", timestamp=at, intent="x", text=text)
    assert (find_unsupported(answer, GroundingSource([item], as_of=at)) == ()) is supported
