"""When a job is due: zones, the hour that does not exist, the one that occurs twice, and what no exporter could say."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from omni.schedule.times import check_cron, newest_slot, next_slot

BERLIN = "Europe/Berlin"
DAY = timedelta(days=1)


def at(text):
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def slots(cron, zone, start, end):
    found, now = [], start
    while (now := next_slot(cron, zone, now)) <= end:
        found.append(now)
    return found


def test_a_time_is_read_in_its_zone_on_both_sides_of_the_change():
    assert next_slot("0 7 * * MON", BERLIN, at("2026-10-19T00:00")) == at("2026-10-19T05:00")
    assert next_slot("0 7 * * MON", BERLIN, at("2026-10-26T00:00")) == at("2026-10-26T06:00")


def test_the_hour_that_does_not_exist_runs_once_at_its_end():
    found = slots("30 2 * * *", BERLIN, at("2026-03-28T12:00"), at("2026-03-30T12:00"))
    assert found == [at("2026-03-29T01:00"), at("2026-03-30T00:30")]


def test_the_hour_that_occurs_twice_runs_once_at_its_first_time():
    found = slots("30 2 * * *", BERLIN, at("2026-10-24T12:00"), at("2026-10-26T12:00"))
    assert found == [at("2026-10-25T00:30"), at("2026-10-26T01:30")]


@pytest.mark.parametrize("change", ["2026-03-29", "2026-10-25"])
def test_what_runs_every_quarter_of_an_hour_follows_elapsed_time(change):
    found = slots("*/15 * * * *", BERLIN, at(f"{change}T00:00"), at(f"{change}T04:00"))
    assert found == [at(f"{change}T00:00") + timedelta(minutes=15 * place) for place in range(1, 17)]


def test_the_newest_slot_within_the_repeated_hour_is_the_first_time():
    for minute in (30, 45, 59, 60, 75, 89, 90, 120):  # from the first 02:30 to an hour after the second
        now = at("2026-10-25T00:00") + timedelta(minutes=minute)
        assert newest_slot("30 2 * * *", BERLIN, now, within=DAY) == at("2026-10-25T00:30")


def test_a_bound_that_begins_in_the_repeated_hour_is_kept():
    now = at("2026-10-25T01:20")  # the second 02:20
    assert newest_slot("30 2 * * *", BERLIN, now, within=timedelta(minutes=10)) is None
    assert newest_slot("30 2 * * *", BERLIN, now, within=timedelta(minutes=50)) == at("2026-10-25T00:30")


def test_the_newest_slot_includes_this_minute_and_the_bound_is_kept():
    monday = at("2026-11-16T06:00")
    assert newest_slot("0 6 * * MON", "UTC", monday, within=DAY) == monday
    assert newest_slot("0 6 * * MON", "UTC", monday + DAY, within=DAY) == monday
    assert newest_slot("0 6 * * MON", "UTC", monday + DAY + timedelta(seconds=1), within=DAY) is None
    assert newest_slot("0 6 * * MON", "UTC", monday - timedelta(seconds=1), within=DAY) is None


@given(
    cron=st.sampled_from(["30 2 * * *", "*/15 * * * *", "0 6 * * MON", "0 0 1 * *", "15 */2 * * *", "59 23 29 2 *"]),
    zone=st.sampled_from([BERLIN, "UTC", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu"]),
    minutes=st.integers(0, 60 * 24 * 366),
)
def test_the_newest_slot_is_the_last_one_that_looking_forward_finds(cron, zone, minutes):
    now = at("2026-01-01T00:00") + timedelta(minutes=minutes)
    found = newest_slot(cron, zone, now, within=3 * DAY)
    before = slots(cron, zone, now - 3 * DAY - timedelta(seconds=1), now)
    assert found == (before[-1] if before else None)


@pytest.mark.parametrize(
    ("cron", "said"),
    [
        ("0 6 * *", "needs five fields"),
        ("0 0 6 * * *", "needs five fields"),
        ("0 25 * * *", "Bad hour"),
        ("0 6 L * *", "not supported"),
        ("0 6 * * MON#1", "not supported"),
        ("0 6 * * 5L", "not supported"),
        ("0 6 1 * MON", "write two jobs"),
        ("0 0 31 2 *", "Bad day-of-month"),
    ],
)
def test_what_other_schedulers_cannot_say_is_refused(cron, said):
    with pytest.raises(ValueError, match=said):
        check_cron(cron)


def test_sunday_has_two_numbers():
    assert check_cron("0 6 * * 7").weekdays == check_cron("0 6 * * SUN").weekdays == {0}
