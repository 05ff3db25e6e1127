"""Figures out of rows: Wilson's interval by hand, small samples and missing values."""

import math
from datetime import date, datetime

import pytest
from scipy.stats import binomtest

from service.dashboards.definitions import Measure, Visual
from service.dashboards.figures import SMALL, figure, rows_of

RATE = Measure(name="r", label="R", unit="rate", of=("part", "whole"))
ODDS = Measure(name="o", label="O", unit="ratio", of=("yes", "no"))
MS = Measure(name="p", label="P", unit="ms", column="p", low="low", high="high", n="n")


def test_a_share_has_wilsons_interval():
    # By hand: centre (0.25 + 3.8415/136) / (1 + 3.8415/68) = 0.26337, half 0.10102.
    found = figure(RATE, {"part": 17, "whole": 68})
    assert found.value == 0.25
    assert (found.low, found.high) == pytest.approx((0.16235, 0.36439), abs=1e-4)
    assert (found.n, found.small) == (68, False)


@pytest.mark.parametrize(("part", "whole"), [(0, 12), (1, 5), (12, 12), (540, 4000)])
def test_the_interval_equals_scipys(part, whole):
    expected = binomtest(part, whole).proportion_ci(0.95, method="wilson")
    found = figure(RATE, {"part": part, "whole": whole})
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high), abs=1e-9)


@pytest.mark.parametrize(("n", "small"), [(SMALL - 1, True), (SMALL, False), (SMALL + 1, False)])
def test_few_cases_are_called_small(n, small):
    assert figure(RATE, {"part": 3, "whole": n}).small is small


def test_zero_cases_give_no_figure_instead_of_zero():
    assert (figure(RATE, {"part": 0, "whole": 0}).value, figure(RATE, {"part": 0, "whole": 0}).n) == (None, 0)
    assert figure(RATE, {"part": math.nan, "whole": math.nan}).value is None


def test_the_interval_of_odds_is_converted_from_the_shares_interval():
    found = figure(ODDS, {"yes": 51, "no": 17})
    low, high = 1 - 0.36439, 1 - 0.16235
    assert found.value == 3.0
    assert (found.low, found.high) == pytest.approx((low / (1 - low), high / (1 - high)), rel=1e-3)
    assert figure(ODDS, {"yes": 5, "no": 0}).value is None


def test_a_missing_end_of_the_interval_marks_a_small_sample():
    row = {"p": 4800.0, "low": 4650, "high": math.nan, "n": 200}
    found = figure(MS, row)
    assert (found.value, found.low, found.high, found.small) == (4800.0, 4650.0, None, True)
    assert figure(MS, row | {"high": 5000}).small is False
    assert figure(MS, row | {"high": 5000, "n": 12}).small is True


def test_a_missing_value_is_none():
    assert figure(MS, {"p": math.nan, "low": None, "high": None, "n": 0}).value is None


@pytest.mark.parametrize("day", [date(2026, 11, 16), datetime(2026, 11, 16)])
def test_days_are_iso_dates(day):
    visual = Visual(name="v", title="T", question="Q", kind="line", by="day", sql="S", measures=(RATE,))
    assert [row.key for row in rows_of(visual, [{"day": day, "part": 1, "whole": 2}])] == ["2026-11-16"]
