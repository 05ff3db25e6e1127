"""Change points, drift, anomalies, themes, lineage and drawings of the weekly report, each on figures worked by hand."""

import re
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from figures.metric import Unit
from figures.planned_costs import stated_cost
from reports.compare.advice import _gate_actions
from reports.compare.baselines import AliasMove, PairInWeek, releases_of
from reports.compare.change_points import latency_changes, rate_changes, with_releases
from reports.compare.drift import _categories, _numbers
from reports.compare.themes import changed_words, themes
from reports.read.weeks import Week
from reports.write.page import _pairs
from reports.write.plots import ChartLine, ChartPoint, Mark, chart, legend
from service.core.release.judge_exception import SignedException

WEEK = Week.parse("2026-W46")
DAYS = list(range(-28, 7))


def _release(day, sequence=2):
    at = WEEK.start + timedelta(days=day, hours=9)
    return AliasMove(digest="b" * 64, sequence=sequence, kind="promote", at=at, environment="local", why="")


def _rates(before, after, since, trials=60, seed=0):
    rng = np.random.default_rng(seed)
    n = np.full(len(DAYS), float(trials))
    return rng.binomial(trials, [before if day < since else after for day in DAYS]).astype(float), n


def test_a_rate_change_is_dated_and_linked_to_its_release():
    successes, trials = _rates(0.85, 0.65, since=-3)
    (found,) = with_releases(rate_changes("x", DAYS, successes, trials), [_release(-20, 1), _release(-3)], WEEK)
    assert found.first <= -3 <= found.last
    assert abs(found.day + 3) <= 1
    assert found.before > 0.8 > 0.7 > found.after
    assert found.release.sequence == 2


def test_a_change_without_a_release_near_it_names_none():
    successes, trials = _rates(0.9, 0.5, since=-3)
    (found,) = with_releases(rate_changes("x", DAYS, successes, trials), [_release(-20, 1)], WEEK)
    assert found.release is None


def test_two_changes_are_both_found_in_order():
    rng = np.random.default_rng(1)
    levels = [0.9 if day < -18 else 0.5 if day < -6 else 0.8 for day in DAYS]
    found = rate_changes("x", DAYS, rng.binomial(80, levels).astype(float), np.full(len(DAYS), 80.0))
    assert [abs(change.day - day) <= 1 for change, day in zip(found, (-18, -6), strict=True)] == [True, True]


def test_constant_rates_rarely_give_a_change_point():
    found = [
        rate_changes("x", DAYS, *_rates(0.85, 0.85, since=0, trials=30, seed=seed), seed=seed) for seed in range(60)
    ]
    assert sum(bool(changes) for changes in found) <= 3  # a scan errs in 1%


@pytest.mark.parametrize("rate", [0.0, 1.0])
def test_equal_ratings_have_no_change_point(rate):
    trials = np.full(len(DAYS), 40.0)
    assert rate_changes("x", DAYS, trials * rate, trials) == []


def test_few_ratings_are_not_scanned():
    assert rate_changes("x", DAYS[:6], np.array([3.0, 3, 3, 0, 0, 0]), np.full(6, 3.0)) == []


def test_a_slower_level_is_found_and_a_slow_day_is_not():
    rng = np.random.default_rng(2)
    usual = 2000 * np.exp(rng.normal(0, 0.04, len(DAYS)))
    slower = np.where(np.array(DAYS) >= -4, usual * 1.5, usual)
    (found,) = latency_changes("latency", DAYS, slower)
    assert found.day == -4
    assert found.after / found.before == pytest.approx(1.5, rel=0.1)
    usual[10] *= 2
    assert latency_changes("latency", DAYS, usual) == []


def test_equal_latencies_do_not_change():
    assert latency_changes("latency", DAYS, np.full(len(DAYS), 900.0)) == []


def test_psi_by_hand():
    # (0.6 - 0.5) ln(0.6/0.5) + (0.4 - 0.5) ln(0.4/0.5) = 0.0405
    found = _categories("intents", {"a": 600.0, "b": 400.0}, {"a": 500.0, "b": 500.0})
    assert found.psi == pytest.approx(0.0405, abs=1e-4)
    assert (found.result, found.most) == ("stable", "a: 50% to 60%")


def test_a_new_intent_with_a_third_of_the_answers_has_moved():
    found = _categories("intents", {"a": 700.0, "b": 300.0}, {"a": 1000.0})
    assert found.result == "moved"
    assert found.most in ("a: 100% to 70%", "b: 0% to 30%")


def test_drift_within_chance_counts_as_stable():
    ours = {str(place): float(count) for place, count in enumerate([9, 1, 6, 2, 7])}
    theirs = {str(place): float(count) for place, count in enumerate([4, 6, 3, 7, 5])}
    found = _categories("intents", ours, theirs)
    assert found.psi > 0.25
    assert (found.psi > found.chance) == (found.result == "moved")


def test_a_shifted_number_has_moved_and_its_ks_is_the_reference():
    from scipy import stats

    rng = np.random.default_rng(0)
    a, b = rng.poisson(9, 800), rng.poisson(5, 900)
    counted = [
        {float(k): float(v) for k, v in zip(*np.unique(side, return_counts=True), strict=True)} for side in (a, b)
    ]
    found = _numbers("interactions read", "input", *counted)
    assert found.result == "moved"
    assert found.ks == pytest.approx(stats.ks_2samp(a, b).statistic)
    same = _numbers("interactions read", "input", counted[0], counted[0])
    assert (same.result, same.ks) == ("stable", 0.0)


def test_equal_numbers_are_stable_and_few_numbers_give_no_result():
    assert _numbers("words", "quality", {50.0: 400.0}, {50.0: 300.0}).result == "stable"
    assert _numbers("words", "quality", {50.0: 7.0}, {90.0: 300.0}).result == "too few to say"
    assert _numbers("words", "quality", {}, {}).result == "too few to say"


class _Data:
    def __init__(self, rows):
        names = [
            "period",
            "feedback_id",
            "request_id",
            "comment",
            "edited_summary",
            "summary_text",
            "helpful_feedback",
            "pair_digest",
        ]
        slices = {"channel": "chat", "intent": "billing", "history": "4-10", "client": "salesforce"}
        self.words = pd.DataFrame(
            [
                {"feedback_id": f"f{n}", "request_id": f"r{n}", "summary_text": "Paid the bill.",
                 "helpful_feedback": "not_helpful", "pair_digest": "a", "edited_summary": None, **slices, **row}
                for n, row in enumerate(rows)
            ],
            columns=[*names, *slices],
        )  # fmt: skip


def _texts(comment, count, period=0, **more):
    return [{"period": period, "comment": comment, **more} for _ in range(count)]


def test_similar_comments_form_one_theme_and_a_new_theme_has_grown():
    rows = _texts("the restoration time is missing", 12, intent="outage") + _texts("much too long to read", 9)
    rows += _texts("much too long to read", 20, period=-1)
    found = themes(_Data(rows))
    by_size = {theme.size: theme for theme in found.themes}
    assert set(by_size) == {12, 9}
    assert (by_size[12].before, by_size[12].grown, by_size[12].value) == (0, True, "outage")
    assert (by_size[9].before, by_size[9].grown) == (20, False)
    assert {"restoration", "time"} <= set(" ".join(by_size[12].terms).split())
    assert by_size[12].examples == ("“the restoration time is missing”",)


def test_without_a_week_before_nothing_grows():
    rows = _texts("the restoration time is missing", 12) + _texts("much too long to read", 9)
    assert not any(theme.grown for theme in themes(_Data(rows)).themes)


@pytest.mark.parametrize(
    "rows", [[], _texts("the of and", 30), _texts("!!! 123", 30), _texts("bad", 3), _texts("same words", 40)]
)
def test_texts_that_cannot_be_grouped_are_no_error(rows):
    found = themes(_Data(rows))
    assert found.left + sum(theme.size for theme in found.themes) == found.texts


def test_an_edit_is_represented_by_the_words_it_added():
    assert changed_words("Paid the bill on May 3.", "Paid the water bill.") == (
        ["water", "bill."],
        ["bill", "on", "May", "3."],
    )
    rows = _texts(None, 15, edited_summary="Paid the bill. Gate code is broken.")
    (theme,) = themes(_Data(rows)).themes
    assert "gate" in " ".join(theme.terms)
    assert theme.examples == ("added “Gate code is broken.”",)


@pytest.mark.parametrize(
    ("model", "cost"),
    [
        ("nova-lite", ("0.008", "0.012")),
        ("amazon.nova-lite-v1:0", ("0.008", "0.012")),
        ("extractive-digest", None),
        ("none", None),
    ],
)
def test_the_planned_cost_is_found_by_short_name_and_id(model, cost):
    assert stated_cost(model) == cost


def test_a_chart_names_its_series_by_shape_and_keeps_within_its_frame():
    lines = [
        ChartLine(
            name="old", points=[ChartPoint(day=-10.5, value=0.8, low=0.7, high=0.9), ChartPoint(day=-3.5, value=0.85)]
        ),
        ChartLine(name="new", points=[ChartPoint(day=3.5, value=0.6, low=0.5, high=0.7)]),
    ]
    drawing = chart(
        lines, WEEK, unit=Unit.RATE, title="Rated helpful", marks=[Mark(day=0.0, label="release 2", kind="release")]
    )
    assert "<circle" in drawing
    assert 'class="point hollow"' in drawing
    assert "release 2</text>" in drawing
    assert "<title>Rated helpful</title>" in drawing
    places = [float(text) for text in re.findall(r'(?:cx|x1|x2)="([-\d.]+)"', drawing)]
    assert min(places) >= 0
    assert max(places) <= 560
    assert "old" in legend(lines)
    assert "new" in legend(lines)


@pytest.mark.parametrize("value", [0.0, 1.0, 0.5])
@pytest.mark.parametrize("unit", [Unit.RATE, Unit.MS, Unit.USD])
def test_a_flat_series_can_be_drawn(value, unit):
    line = ChartLine(name="x", points=[ChartPoint(day=0.5, value=value), ChartPoint(day=1.5, value=value)])
    assert "nan" not in chart([line], WEEK, unit=unit, title="x", from_zero=unit is not Unit.RATE).lower()


def test_a_chart_without_points_is_empty():
    assert chart([ChartLine(name="x", points=[])], WEEK, unit=Unit.MS, title="x") == ""
    assert legend([ChartLine(name="x", points=[ChartPoint(day=0, value=1)])]) == ""


def test_an_inferred_release_is_named_as_not_on_record():
    release = AliasMove(
        digest="a", sequence=None, kind="inferred", at=datetime(2026, 11, 9, tzinfo=UTC), environment="local", why=""
    )
    assert release.name == "a release that is not on record"


def test_the_page_says_under_which_exception_a_pair_was_released():
    why = "first (without a judge, allowed by Maria Oduya, until 2026-11-20: its calibration is booked)"
    pair = PairInWeek(
        digest="b" * 64,
        label="loud",
        role="production",
        answers=10,
        models=("m",),
        stated_cost=None,
        release=replace(_release(-3), why=why),
        before=None,
    )
    report = SimpleNamespace(pairs=[pair], whole=[], sliced=[], data=SimpleNamespace(week=WEEK))
    (row,) = _pairs(report)
    assert row["released"].startswith("release 2, ")
    assert row["released"].endswith(f": {why}")


@pytest.mark.parametrize(("day", "over"), [(20, False), (21, True)])
def test_the_report_says_that_a_release_s_exception_ran_out_and_what_to_do(day, over):
    said = {"stage": "test", "why": "its calibration is booked", "who": "Maria Oduya", "until": date(2026, 11, 20)}
    signed = SignedException(**said)
    now = datetime(2026, 11, day, 12, tzinfo=UTC)
    why = f"first ({signed.text(WEEK.start)})"
    row = {
        "pair_digest": "b" * 64,
        "sequence": 2,
        "kind": "promote",
        "released_at": WEEK.start,
        "environment": "local",
        "why": why,
    }
    pairs = pd.DataFrame(columns=["environment", "rollout_arm", "pair_digest", "first_at"])
    data = SimpleNamespace(pairs=pairs, releases=pd.DataFrame([row]), now=now)
    (release,) = releases_of(data)
    assert release.why == f"first ({signed.text(now)})"
    assert ("RAN OUT on 2026-11-20" in release.why) is over
    pair = SimpleNamespace(role="production", release=release)
    done = _gate_actions(
        SimpleNamespace(pairs=[pair], task="summarize", promises=[], anomalies=[], drifts=[], worse=[])
    )
    assert [action.short for action in done] == ["license a judge"] * over
