"""Samples, their intervals and tests, and the results of comparisons: hand-worked, against references, at the bounds."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from figures.stats import Interval
from reports.compare.difference import against_target, contrast, difference, promise_kept, with_result
from reports.compare.false_discovery import benjamini_hochberg, judge_families, shares_of
from reports.compare.outcomes import ComparisonResult
from reports.read.metrics import COST, HELPFUL, P95, SMALLEST, UNHELPFUL
from reports.read.samples import Mean, Quantile, Rate


def _quantile(values, q=0.95):
    found, counts = np.unique(np.asarray(values, dtype=float), return_counts=True)
    return Quantile(values=found, counts=counts.astype(float), q=q)


def _mean(values):
    array = np.asarray(values, dtype=float)
    return Mean(total=float(array.sum()), squares=float((array**2).sum()), n=len(array))


def _interval(value, low, high, n=1000):
    return Interval(value=value, low=low, high=high, n=n)


def test_a_difference_of_rates_is_newcombes():
    # Newcombe 1998 (Stat Med 17:873), table II, example (a), method 10: 56/70 - 48/80.
    found = difference(HELPFUL, Rate(successes=56, n=70).interval(), Rate(successes=48, n=80).interval())
    assert (round(found.value, 4), round(found.low, 4), round(found.high, 4)) == (0.2, 0.0524, 0.3339)


def test_fishers_exact_test_gives_the_tea_tasting_result():
    # Fisher 1935: 3 of 4 against 1 of 4, two-sided 34/70.
    assert Rate(successes=3, n=4).p_value(Rate(successes=1, n=4)) == pytest.approx(34 / 70)


def test_nothing_or_everything_on_both_sides_is_no_difference():
    assert Rate(successes=0, n=50).p_value(Rate(successes=0, n=9)) == 1.0
    assert Rate(successes=50, n=50).p_value(Rate(successes=9, n=9)) == 1.0


def test_a_mean_from_sums_is_students_and_welchs():
    a, b = [1.0, 2.0, 4.0, 9.0], [2.0, 2.5, 3.0, 3.5, 4.0]
    side = _mean(a).interval()
    expected = stats.t.interval(0.95, 3, loc=np.mean(a), scale=stats.sem(a))
    assert (side.low, side.high) == pytest.approx(expected)
    assert _mean(a).p_value(_mean(b)) == pytest.approx(stats.ttest_ind(a, b, equal_var=False).pvalue)


def test_equal_values_have_no_spread_however_many():
    mean = Mean(total=0.1 * 1_000_000, squares=0.01 * 1_000_000, n=1_000_000)
    assert mean.variance == 0.0
    assert mean.p_value(mean) == 1.0
    assert (mean.interval().low, mean.interval().high) == (mean.value, mean.value)


def test_a_quantile_is_an_order_statistic_with_binomial_ranks():
    # n=20, median: ranks 6 and 15 cover 95.86% (David & Nagaraja 2003, sec. 7.1).
    side = _quantile(range(1, 21), q=0.5).interval()
    assert (side.value, side.low, side.high) == (10, 6, 15)


def test_a_quantile_that_so_few_values_cannot_bound_has_no_upper_end():
    side = _quantile(range(1, 31), q=0.99).interval()
    assert side.high is None
    assert side.low is not None


def test_a_quantiles_interval_has_its_nominal_coverage():
    rng, hits = np.random.default_rng(5), 0
    for _ in range(400):
        side = _quantile(np.rint(rng.exponential(1000, 300))).interval()
        hits += side.low <= 1000 * math.log(20) <= side.high
    assert hits >= 400 * 0.93


def test_all_equal_latencies_have_an_interval_and_no_difference():
    flat = _quantile([700] * 500)
    assert (flat.interval().low, flat.interval().value, flat.interval().high) == (700, 700, 700)
    assert flat.p_value(_quantile([700] * 80)) == 1.0


@given(st.lists(st.integers(0, 5000), min_size=1, max_size=200), st.sampled_from([0.5, 0.95, 0.99]))
def test_a_histogram_quantile_is_numpys_inverted_cdf(values, q):
    assert _quantile(values, q).interval().value == np.quantile(values, q, method="inverted_cdf")


@given(st.integers(1, 400), st.integers(1, 400), st.data())
def test_a_difference_turns_its_sign_with_its_sides(n, m, data):
    a = Rate(successes=data.draw(st.integers(0, n)), n=n).interval()
    b = Rate(successes=data.draw(st.integers(0, m)), n=m).interval()
    one, other = difference(HELPFUL, a, b), difference(HELPFUL, b, a)
    assert one.low <= one.value <= one.high
    assert (one.low, one.high) == pytest.approx((-other.high, -other.low))


def test_relative_differences_are_shares_of_the_baseline():
    found = difference(P95, _interval(2500, 2400, 2600), _interval(2000, 2000, 2000))
    assert (found.value, found.low, found.high) == pytest.approx((0.25, 0.20, 0.30))


def test_a_baseline_of_zero_has_no_relative_difference():
    assert difference(COST, _interval(0.01, 0.01, 0.01), _interval(0.0, 0.0, 0.0)) is None
    assert difference(COST, _interval(0.0, 0.0, 0.0), _interval(0.01, 0.009, 0.011)).value == -1.0


def _result(value, low, high, *, significant, metric=HELPFUL):
    base = contrast(HELPFUL, Rate(successes=80, n=100), Rate(successes=80, n=100))
    from dataclasses import replace

    made = replace(base, metric=metric, difference=_interval(value, low, high))
    return with_result(made, significant=significant).result


@pytest.mark.parametrize(
    ("value", "low", "high", "significant", "result"),
    [
        (-0.20, -0.30, -0.10, True, ComparisonResult.WORSE),
        (-0.05, -0.08, -0.02, True, ComparisonResult.WORSE),  # the estimate lies at the margin
        (-0.049, -0.08, -0.02, True, ComparisonResult.INCONCLUSIVE),  # certain, but by less than counts
        (-0.20, -0.30, -0.10, False, ComparisonResult.INCONCLUSIVE),  # the family puts it down to chance
        (-0.02, -0.049, 0.01, False, ComparisonResult.NO_WORSE),
        (-0.02, -0.05, 0.01, False, ComparisonResult.INCONCLUSIVE),  # the interval touches the margin
        (-0.03, -0.04, -0.02, True, ComparisonResult.NO_WORSE),  # lower for sure, by less than the margin for sure
        (0.05, 0.01, 0.09, True, ComparisonResult.BETTER),
        (0.20, 0.10, 0.30, False, ComparisonResult.NO_WORSE),
    ],
)
def test_results_at_above_and_below_the_margin(value, low, high, significant, result):
    assert _result(value, low, high, significant=significant) is result


def test_slower_is_worse_and_faster_is_better():
    assert _result(0.40, 0.30, 0.50, significant=True, metric=P95) is ComparisonResult.WORSE
    assert _result(-0.40, -0.50, -0.30, significant=True, metric=P95) is ComparisonResult.BETTER


def test_small_samples_have_no_result_and_join_no_family():
    few = contrast(HELPFUL, Rate(successes=0, n=SMALLEST - 1), Rate(successes=900, n=1000))
    assert (few.result, few.tested) == (ComparisonResult.TOO_FEW, False)
    enough = contrast(HELPFUL, Rate(successes=0, n=SMALLEST), Rate(successes=900, n=1000))
    assert enough.tested


def test_the_target_needs_the_whole_interval():
    assert against_target(UNHELPFUL, _interval(0.10, 0.08, 0.149)) is ComparisonResult.MET
    assert against_target(UNHELPFUL, _interval(0.10, 0.08, 0.15)) is ComparisonResult.INCONCLUSIVE
    assert against_target(UNHELPFUL, _interval(0.20, 0.151, 0.25)) is ComparisonResult.MISSED
    assert against_target(UNHELPFUL, _interval(0.20, 0.151, 0.25, n=7)) is ComparisonResult.TOO_FEW


def test_a_promise_is_judged_by_the_gates_rule():
    promised = _interval(2000.0, 1900.0, 2100.0, n=200)
    assert promise_kept(P95, _interval(2100.0, 2050.0, 2150.0), promised) is ComparisonResult.NO_WORSE
    assert promise_kept(P95, _interval(3000.0, 2900.0, 3100.0), promised) is ComparisonResult.WORSE
    assert promise_kept(P95, _interval(2500.0, 2400.0, 2600.0), promised) is ComparisonResult.INCONCLUSIVE
    assert promise_kept(P95, _interval(1200.0, 1150.0, 1250.0), promised) is ComparisonResult.BETTER


def test_benjamini_and_hochberg_by_hand():
    # Bounds at 5% of 4: .0125 .025 .0375 .05. The third clears its own, so it takes the first two with it.
    assert benjamini_hochberg([0.030, 0.9, 0.013, 0.037]) == [True, False, True, True]


@given(st.lists(st.floats(0, 1), min_size=1, max_size=40))
def test_benjamini_and_hochberg_is_scipys(p_values):
    adjusted = stats.false_discovery_control(p_values)
    # At the bound itself rounding decides.
    clear = [abs(p - 0.05) > 1e-9 for p in adjusted]
    ours = benjamini_hochberg(p_values)
    assert [one for one, sure in zip(ours, clear, strict=True) if sure] == [
        p <= 0.05 for p, sure in zip(adjusted, clear, strict=True) if sure
    ]


def test_the_families_of_metrics_share_the_false_discoveries_and_the_helpful_rate_has_half():
    assert shares_of(["helpful_rate", "cost", "edits"], 0.08) == {"helpful_rate": 0.04, "cost": 0.02, "edits": 0.02}
    assert shares_of(["helpful_rate"], 0.05) == {"helpful_rate": 0.05}
    assert shares_of(["cost", "edits"], 0.05) == {"cost": 0.025, "edits": 0.025}


def test_true_changes_of_one_metric_do_not_ease_the_test_of_another():
    """As one family, 13 rejections of latency let a slice of 39 ratings count as worse."""
    slow = (_quantile(np.linspace(2000, 6000, 400)), _quantile(np.linspace(1000, 3000, 400)))
    even, chance = (Rate(successes=85, n=100),) * 2, (Rate(successes=25, n=39), Rate(successes=170, n=200))
    latency = [(contrast(P95, *slow), *slow)] * 13
    ratings = _family(chance, *[even] * 9)
    for baselines in ([], ["week before"] * 13 + ["release before"] * 10):
        judged = judge_families([*latency, *ratings], 0.05, baselines)
        assert [item.result for item in judged[:13]] == [ComparisonResult.WORSE] * 13
        assert judged[13].result is judge_families(ratings, 0.025)[0].result is ComparisonResult.INCONCLUSIVE


def test_true_changes_against_one_baseline_do_not_ease_the_test_against_another():
    bad, chance = (
        (Rate(successes=30, n=100), Rate(successes=85, n=100)),
        (Rate(successes=72, n=100), Rate(successes=85, n=100)),
    )
    family = _family(*[bad] * 9, chance)
    assert judge_families(family)[-1].result is ComparisonResult.WORSE
    assert judge_families(family, 0.05, ["release"] * 9 + ["week"])[-1].result is ComparisonResult.INCONCLUSIVE


def _family(*samples):
    return [(contrast(HELPFUL, ours, theirs), ours, theirs) for ours, theirs in samples]


def test_the_interval_of_a_selected_change_is_wider_and_still_excludes_zero():
    even = (Rate(successes=85, n=100), Rate(successes=85, n=100))
    bad = (Rate(successes=60, n=100), Rate(successes=85, n=100))
    (alone,) = judge_families(_family(bad))
    first, *rest = judge_families(_family(bad, *[even] * 30))
    assert (alone.result, first.result) == (ComparisonResult.WORSE, ComparisonResult.WORSE)
    plain = difference(HELPFUL, *(side.interval() for side in bad))
    assert first.difference.low < alone.difference.low == plain.low
    assert first.difference.high < 0
    assert {item.result for item in rest} == {ComparisonResult.INCONCLUSIVE}
    assert first.compared == 31


def test_a_difference_significant_alone_is_not_among_a_hundred():
    bad = (Rate(successes=72, n=100), Rate(successes=85, n=100))
    even = (Rate(successes=85, n=100), Rate(successes=85, n=100))
    assert judge_families(_family(bad))[0].result is ComparisonResult.WORSE
    assert judge_families(_family(bad, *[even] * 99))[0].result is ComparisonResult.INCONCLUSIVE


def test_a_change_whose_interval_includes_zero_is_neither_better_nor_worse():
    """The test counts the answers above a quantile and the interval is from order statistics, so they can disagree."""
    rng = np.random.default_rng(3)
    even = tuple(_quantile(rng.lognormal(7, 0.3, 200)) for _ in range(2))
    moved = []
    for seed in range(40):
        draws = np.random.default_rng(seed)
        slow, fast = _quantile(draws.lognormal(7.0, 0.5, 200)), _quantile(draws.lognormal(6.8, 0.35, 200))
        for sides in ((fast, slow), (slow, fast)):
            family = [(contrast(P95, *both), *both) for both in (sides, *[even] * 8)]
            moved.append(judge_families(family)[0])
    moved = [item for item in moved if item.result in (ComparisonResult.BETTER, ComparisonResult.WORSE)]
    assert {item.result for item in moved} == {ComparisonResult.BETTER, ComparisonResult.WORSE}
    assert all(item.difference.low > 0 or item.difference.high < 0 for item in moved)
