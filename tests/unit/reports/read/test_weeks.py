"""ISO weeks in a zone: borders in UTC, days across changes of the clock, bad names."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reports.errors import WeekError
from reports.read.weeks import DAY_S, WEEK_S, Week
from service.warehouse.duck import DuckWarehouse

BERLIN = "Europe/Berlin"


def test_a_week_has_its_iso_monday_and_name():
    week = Week.parse("2026-W47")
    assert week.start == datetime(2026, 11, 16, tzinfo=UTC)
    assert week.end == datetime(2026, 11, 23, tzinfo=UTC)
    assert (week.name, week.shifted(-1).name) == ("2026-W47", "2026-W46")


def test_the_year_of_a_week_is_the_iso_year():
    assert Week.parse("2026-W01").start == datetime(2025, 12, 29, tzinfo=UTC)
    assert Week.parse("2026-W53").end == datetime(2027, 1, 4, tzinfo=UTC)


@pytest.mark.parametrize(
    "text", ["2026-47", "2026-W54", "2025-W53", "2026-W00", "W47", "", "2026-W4", "2026-W47 ", "2026-w47"]
)
def test_an_invalid_week_is_refused_by_name(text):
    with pytest.raises(WeekError, match="2026-W47"):
        Week.parse(text)


@pytest.mark.parametrize("zone", ["Mars/Base", "../etc/passwd", ""])
def test_an_invalid_zone_is_refused(zone):
    with pytest.raises(WeekError, match="Europe/Berlin"):
        Week.parse("2026-W47", zone)


@pytest.mark.parametrize(
    ("name", "hours", "start"),
    [
        ("2026-W43", 169, datetime(2026, 10, 18, 22, tzinfo=UTC)),  # clocks go back on Sunday 25 October
        ("2026-W13", 167, datetime(2026, 3, 22, 23, tzinfo=UTC)),  # and forward on Sunday 29 March
        ("2026-W44", 168, datetime(2026, 10, 25, 23, tzinfo=UTC)),
    ],
)
def test_a_week_in_which_clocks_change_is_longer_or_shorter(name, hours, start):
    week = Week.parse(name, BERLIN)
    assert week.start == start
    assert week.end - week.start == timedelta(hours=hours)


def test_the_default_is_the_week_that_is_over():
    assert Week.before(datetime(2026, 11, 23, 8, tzinfo=UTC)).name == "2026-W47"
    assert Week.before(datetime(2026, 11, 22, 23, 30, tzinfo=UTC)).name == "2026-W46"
    assert Week.before(datetime(2026, 11, 22, 23, 30, tzinfo=UTC), BERLIN).name == "2026-W47"


@pytest.fixture(scope="module")
def warehouse(tmp_path_factory):
    opened = DuckWarehouse(tmp_path_factory.mktemp("weeks") / "omni.duckdb")
    yield opened
    opened.close()


def _days(warehouse, week, moments):
    """Ask the engine, through Redshift's dialect, for the local day and week of each moment."""
    seconds = week.local_seconds("t.moment", weeks=12)
    values = " UNION ALL ".join(
        f"SELECT {place} AS place, CAST('{moment:%Y-%m-%d %H:%M:%S.%f}+00' AS TIMESTAMPTZ) AS moment"
        for place, moment in enumerate(moments)
    )
    frame = warehouse.query(
        f"SELECT t.place, CAST(FLOOR({seconds} / {DAY_S}::DOUBLE PRECISION) AS INTEGER) AS day, "
        f"CAST(FLOOR({seconds} / {WEEK_S}::DOUBLE PRECISION) AS INTEGER) AS week FROM ({values}) t ORDER BY 1"
    )
    return [(int(day), int(number)) for day, number in zip(frame["day"], frame["week"], strict=True)]


def test_sql_puts_the_borders_of_a_change_of_the_clock_into_their_local_day(warehouse):
    week = Week.parse("2026-W43", BERLIN)
    second = timedelta(seconds=1)
    moments = [week.start - second, week.start, week.end - second, datetime(2026, 10, 25, 0, 59, 59, tzinfo=UTC)]
    # The hour that comes twice on Sunday belongs to Sunday both times.
    moments.append(datetime(2026, 10, 25, 1, 30, tzinfo=UTC))
    assert _days(warehouse, week, moments) == [(-1, -1), (0, 0), (6, 0), (6, 0), (6, 0)]


def test_sql_puts_fractions_of_a_second_before_monday_into_the_week_before(warehouse):
    week = Week.parse("2026-W47")
    assert _days(warehouse, week, [week.start - timedelta(milliseconds=1), week.start]) == [(-1, -1), (0, 0)]


@settings(max_examples=40)
@given(
    zone=st.sampled_from(["UTC", BERLIN, "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe", "Asia/Kathmandu"]),
    week=st.integers(1, 52),
    minutes=st.lists(st.integers(-12 * 7 * 1440, 7 * 1440 - 1), min_size=1, max_size=8),
)
def test_sql_and_the_zone_agree_about_every_day(warehouse, zone, week, minutes):
    chosen = Week.parse(f"2026-W{week:02d}", zone)
    moments = [chosen.start + timedelta(minutes=minute) for minute in minutes]
    first = chosen.shifted(-12).start
    moments = [moment for moment in moments if first <= moment < chosen.end]
    days = [chosen.day_of(moment) for moment in moments]
    assert [day for day, _ in _days(warehouse, chosen, moments)] == days if moments else True
