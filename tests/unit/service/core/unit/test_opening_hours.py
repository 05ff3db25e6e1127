from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from service.core.unit.opening_hours import OpeningCalendar, TimeSpan, WeekHours, in_words, spoken_time

LONDON = ZoneInfo("Europe/London")
HOURS = TypeAdapter(WeekHours)
WEEK = HOURS.validate_python({"mon-fri": "09:00-17:00", "sat": "10:00-13:30"})
CALENDAR = OpeningCalendar(week=WEEK, holidays={date(2026, 12, 25): "Christmas Day"}, zone=LONDON)


def at(text):
    return datetime.fromisoformat(text).replace(tzinfo=LONDON)


@pytest.mark.parametrize(
    ("moment", "is_open"),
    [
        ("2026-11-23T08:59", False),  # a Monday
        ("2026-11-23T09:00", True),
        ("2026-11-23T16:59", True),
        ("2026-11-23T17:00", False),
        ("2026-11-28T13:29", True),
        ("2026-11-28T13:30", False),
        ("2026-11-29T11:00", False),  # a Sunday
        ("2026-12-25T11:00", False),  # a Friday, and a holiday
    ],
)
def test_it_is_open_in_its_hours_and_never_on_a_holiday(moment, is_open):
    assert CALENDAR.is_open(at(moment)) is is_open


def test_a_summer_morning_is_told_by_the_clocks_of_london():
    assert CALENDAR.is_open(datetime(2026, 7, 6, 8, 30, tzinfo=UTC))  # half past nine there
    assert not CALENDAR.is_open(datetime(2026, 11, 23, 8, 30, tzinfo=UTC))


@pytest.mark.parametrize(
    ("moment", "opens"),
    [
        ("2026-11-23T07:00", "2026-11-23T09:00"),
        ("2026-11-23T09:00", "2026-11-24T09:00"),  # it is open: the next opening is tomorrow's
        ("2026-11-27T17:00", "2026-11-28T10:00"),
        ("2026-12-24T18:00", "2026-12-26T10:00"),
        ("2026-03-28T20:00", "2026-03-30T09:00"),  # the clocks go forward in between
    ],
)
def test_the_next_opening_skips_nights_sundays_and_holidays(moment, opens):
    assert CALENDAR.next_opening(at(moment)) == at(opens)


MOMENTS = st.datetimes(datetime(2026, 1, 1), datetime(2027, 12, 31), timezones=st.just(UTC))


@given(MOMENTS)
def test_it_is_open_when_it_opens_and_closed_just_before(moment):
    opening = CALENDAR.next_opening(moment)
    assert opening > moment
    assert CALENDAR.is_open(opening)
    assert not CALENDAR.is_open((opening.astimezone(UTC) - timedelta(seconds=1)).astimezone(LONDON))


def test_a_part_of_the_day_ends_with_the_day():
    afternoon = TimeSpan(time(13), time(17))
    spans = CALENDAR.spans_after(at("2026-11-27T18:00"), afternoon)
    assert next(spans) == (at("2026-11-28T13:00"), at("2026-11-28T13:30"))
    assert next(spans) == (at("2026-11-30T13:00"), at("2026-11-30T17:00"))


def test_what_never_opens_is_an_error_and_no_endless_search():
    closed = OpeningCalendar(
        week=WEEK, holidays={date(2026, 11, 1) + timedelta(days=n): "closed" for n in range(40)}, zone=LONDON
    )
    with pytest.raises(ValueError, match="closed for 31 days after 2026-11-02"):
        closed.next_opening(at("2026-11-02T10:00"))


def test_hours_are_put_into_words_in_the_order_of_the_week():
    week = HOURS.validate_python({"sun": "12:00-12:30", "mon-thu": "09:00-17:00"})
    assert in_words(week) == "Monday to Thursday, 9 AM to 5 PM; Sunday, 12 PM to 12:30 PM"
    assert spoken_time(time(0, 5)) == "12:05 AM"


@pytest.mark.parametrize(
    ("week", "fault"),
    [
        ({"mon-fri": "17:00-09:00"}, "ends before it begins"),
        ({"fri-mon": "09:00-17:00"}, "'fri-mon' ends before it begins"),
        ({"mon-fri": "nine to five"}, "must be times such as"),
        ({"funday": "09:00-17:00"}, "must be a day or a range of days"),
        ({"mon-fri": "09:00-17:00", "wed": "09:00-12:00"}, "stands twice"),
        ({}, "no day of the week is open"),
    ],
)
def test_wrong_hours_are_refused(week, fault):
    with pytest.raises(ValidationError, match=fault):
        HOURS.validate_python(week)
