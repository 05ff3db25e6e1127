from dataclasses import replace

import pytest

from eval.report.conclusions import bound_text, format_check_value
from eval.spine.results import Check, Verdict
from figures.formatting import (
    format_difference,
    format_interval,
    format_metric,
    format_number,
    format_signed,
    plural,
)
from figures.metric import Metric, Unit

RATE = Metric(name="grounded", unit=Unit.RATE, higher_is_better=True, value=0.93, low=0.81, high=0.98, n=40)


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (0.93, Unit.RATE, "0.93"),
        (1.0, Unit.RATE, "1.00"),
        (0.0, Unit.RATE, "0.00"),
        (41.24, Unit.SCORE, "41.2"),
        (58.0, Unit.WORDS, "58.0"),
        (412.3, Unit.MS, "412 ms"),
        (1940.0, Unit.MS, "1.9 s"),
        (999.4, Unit.MS, "999 ms"),
        (999.5, Unit.MS, "1.0 s"),
        (2.34, Unit.MS, "2.3 ms"),
        (0.1234, Unit.MS, "0.12 ms"),
        (0.0, Unit.MS, "0 ms"),
        (125_000.0, Unit.MS, "125 s"),
        (0.000214, Unit.USD, "$0.000214"),
        (0.0000992, Unit.USD, "$0.0000992"),
        (0.0, Unit.USD, "$0"),
        (0.5, Unit.USD, "$0.500"),
        (48.657, Unit.USD, "$48.66"),
        (12_345.6, Unit.USD, "$12,346"),
        (-0.000214, Unit.USD, "-$0.000214"),
    ],
)
def test_a_number_is_written_by_its_unit(value: float, unit: Unit, text: str) -> None:
    assert format_number(value, unit) == text


@pytest.mark.parametrize(("value", "text"), [(0.996, "0.996"), (0.9999, "0.9999"), (0.002, "0.002")])
def test_a_rate_that_is_not_all_or_none_does_not_read_as_such(value: float, text: str) -> None:
    assert format_number(value, Unit.RATE) == text


def test_a_figure_beside_its_bound_gets_decimals_until_the_two_differ() -> None:
    assert format_number(0.8493, Unit.RATE, apart_from=0.85) == "0.849"
    assert format_number(0.85, Unit.RATE, apart_from=0.85) == "0.85"
    assert format_number(5012.0, Unit.MS, apart_from=5000.0) == "5,012.0 ms"
    assert format_signed(-0.0503, Unit.RATE, apart_from=-0.05) == "-0.0503"


def test_an_interval_names_a_shared_unit_once() -> None:
    assert format_interval(0.81, 0.98, Unit.RATE) == "[0.81, 0.98]"
    assert format_interval(380.0, 450.0, Unit.MS) == "[380, 450] ms"
    assert format_interval(788.0, 1040.0, Unit.MS) == "[788 ms, 1.0 s]"
    assert format_interval(None, 1.0, Unit.RATE) == ""


def test_a_metric_shows_n_only_where_it_differs_from_the_case_count() -> None:
    assert format_metric(RATE, 40) == "0.93 [0.81, 0.98]"
    assert format_metric(RATE, 41) == "0.93 [0.81, 0.98] n=40"
    assert format_metric(RATE) == "0.93 [0.81, 0.98]"


def test_a_metric_without_value_says_that_nothing_was_measured() -> None:
    assert format_metric(replace(RATE, value=None, low=None, high=None, n=0), 40) == "– n=0"


def test_a_note_leaves_its_mark_at_the_value() -> None:
    assert format_metric(replace(RATE, note="measured in run r0; no live calls in this one")) == "0.93 † [0.81, 0.98]"


def test_a_difference_is_signed_and_zero_has_no_sign() -> None:
    assert format_difference(replace(RATE, value=0.03, low=-0.011, high=0.07)) == "+0.03 [-0.01, +0.07]"
    assert format_signed(0.0, Unit.RATE) == "0.00"
    assert format_signed(-0.0004, Unit.RATE) == "0.00"
    assert format_signed(0.00001, Unit.USD) == "+$0.0000100"


def check(kind: str = "floor", **changes: object) -> Check:
    fields: dict[str, object] = {"bound": 0.8, "verdict": Verdict.FAIL, "reason": "r", "explanation": "e"}
    metric = Metric(name="grounded", unit=Unit.RATE, higher_is_better=True, value=0.7, low=0.6, high=0.79, n=40)
    figures = {name: value for name, value in changes.items() if name not in fields}
    own = {name: value for name, value in changes.items() if name in fields}
    return Check(kind=kind, metric=replace(metric, **figures), **{**fields, **own})  # type: ignore[arg-type]


def test_a_check_shows_its_figure_and_its_bound_in_words() -> None:
    assert format_check_value(check()) == "0.70 [0.60, 0.79]"
    assert bound_text(check()) == "at least 0.80"
    late = check(name="latency_p95", unit=Unit.MS, higher_is_better=False, bound=5000.0)
    assert bound_text(late) == "at most 5.0 s"
    assert bound_text(check("no_worse", bound=-0.05)) == "no lower than -0.05"
    assert format_check_value(check("no_worse", bound=-0.05, value=0.1, low=-0.02, high=0.2)) == "+0.10 [-0.02, +0.20]"


def test_a_requirement_has_no_figure_and_a_check_without_one_says_so() -> None:
    assert format_check_value(check("requirement", value=0.0)) == ""
    assert bound_text(check("requirement")) == "must hold"
    assert format_check_value(check(value=None, low=None, high=None, n=0)) == "– n=0"


def test_a_count_agrees_with_its_noun() -> None:
    assert [plural(count, "case") for count in (0, 1, 1200)] == ["0 cases", "1 case", "1,200 cases"]
