"""What the drawings of the report show, and on which scale."""

import re

import pytest

from figures.metric import Metric, Unit
from figures.svg import (
    difference,
    difference_limit,
    latency_axis,
    latency_curve,
    latency_scale,
    metric_scale,
    whisker,
)


def metric(value: float | None, half: float, unit: Unit = Unit.MS) -> Metric:
    ends = (None, None) if value is None else (value - half, value + half)
    return Metric(name="m", unit=unit, higher_is_better=False, value=value, low=ends[0], high=ends[1], n=3)


def place(svg: str, name: str, attribute: str) -> float:
    found = re.search(rf'class="{name}"[^>]*? {attribute}="([\d.]+)"', svg)
    assert found is not None, svg
    return float(found[1])


def test_a_rate_is_drawn_from_0_to_1_whatever_its_figure() -> None:
    assert metric_scale([metric(0.9, 0.05, Unit.RATE)], 0.8) == (0.0, 1.0)


@pytest.mark.parametrize(("bound", "top"), [(None, 115.5), (200.0, 210.0), (5000.0, 115.5)])
def test_a_far_bound_does_not_squeeze_the_intervals(bound: float | None, top: float) -> None:
    assert metric_scale([metric(100.0, 10.0)], bound) == pytest.approx((0.0, top))


def test_the_whisker_spans_the_interval_and_marks_the_bound() -> None:
    svg = str(whisker(metric(0.5, 0.25, Unit.RATE), (0.0, 1.0), bound=0.75, label="x"))
    assert place(svg, "point", "cx") == 100.0
    assert (place(svg, "range", "x1"), place(svg, "range", "x2")) == (52.0, 148.0)
    assert place(svg, "bound", "x1") == 148.0
    assert "bound" not in whisker(metric(0.5, 0.1), (0.0, 1.0), bound=5.0, label="x")


def test_nothing_measured_draws_nothing() -> None:
    assert whisker(metric(None, 0.0), (0.0, 1.0), bound=None, label="x") == ""
    assert difference(metric(None, 0.0), 1.0, margin=0.1, label="x") == ""


def test_a_difference_lies_around_zero_with_the_margin_left_of_it() -> None:
    svg = str(difference(metric(-0.5, 0.1), 1.0, margin=0.25, label="x"))
    assert place(svg, "zero", "x1") == 100.0
    assert place(svg, "bound", "x1") == 76.0
    assert place(svg, "point", "cx") == 52.0
    assert difference_limit([metric(-0.5, 0.1)], 0.25) == pytest.approx(0.66)
    assert difference_limit([metric(0.0, 0.0)], None) == 1.0


def test_latencies_share_a_scale_of_whole_powers_of_ten() -> None:
    assert latency_scale([2.0, 900.0]) == (0.0, 3.0)
    assert latency_scale([]) == (0.0, 1.0)
    strip = str(latency_curve([0.0, 10.0, 1000.0], (0.0, 3.0), [10.0], label="x"))
    assert strip.count("<circle") == 3
    assert place(strip, "quantile", "x1") == pytest.approx(4 + 632 / 3, abs=0.1)
    assert ">1.0 s</text>" in latency_axis((0.0, 3.0))


def test_a_label_cannot_leave_its_attribute() -> None:
    svg = whisker(metric(0.5, 0.1), (0.0, 1.0), bound=None, label='"><script>')
    assert "<script>" not in svg
