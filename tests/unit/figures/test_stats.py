import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats as reference

from figures.stats import (
    effective_cases,
    mean_interval,
    normal_quantile,
    percentile_interval,
    quantile_interval,
    rate_interval,
    resample_weights,
    unseen_share,
)


def test_the_same_seed_gives_the_same_interval():
    values = np.random.default_rng(1).random(50)
    assert mean_interval(values, seed=7) == mean_interval(values, seed=7)
    assert mean_interval(values, seed=7) != mean_interval(values, seed=8)


def test_wilson_by_hand():
    # Wilson 1927 for 8 of 10: (0.4902, 0.9433) to four places, as in every textbook table.
    interval = rate_interval(8, 10)
    assert (interval.low, interval.high) == (pytest.approx(0.4902, abs=1e-4), pytest.approx(0.9433, abs=1e-4))


@given(st.integers(1, 500), st.sampled_from([0.95, 0.9875]), st.data())
def test_wilson_is_scipys(n, confidence, data):
    successes = data.draw(st.integers(0, n))
    ours = rate_interval(successes, n, confidence=confidence)
    theirs = reference.binomtest(successes, n).proportion_ci(confidence, method="wilson")
    assert (ours.low, ours.high) == (pytest.approx(theirs.low, abs=1e-9), pytest.approx(theirs.high, abs=1e-9))
    assert 0 <= ours.low <= ours.value <= ours.high <= 1
    assert ours.high > ours.low


def test_a_rate_without_trials_is_refused():
    with pytest.raises(ValueError, match="n >= 1"):
        rate_interval(0, 0)


@pytest.mark.parametrize("n", [60, 200])
def test_the_mean_interval_is_scipys_bca_but_for_the_widening_to_t(n):
    values = np.random.default_rng(4).beta(6, 1.2, size=n)
    ours = mean_interval(values, seed=3)
    theirs = reference.bootstrap(
        (values,), np.mean, method="BCa", n_resamples=20_000, rng=np.random.default_rng(5)
    ).confidence_interval
    half, slack = (theirs.high - theirs.low) / 2, 0.08  # the widening is 3% at 60; the rest is Monte-Carlo noise
    assert abs(ours.low - theirs.low) < slack * half
    assert abs(ours.high - theirs.high) < slack * half
    # Skewed to the left: the interval reaches further down than up, which a symmetrical one would not.
    assert ours.value - ours.low > ours.high - ours.value


def test_equal_scores_still_leave_room_for_what_was_not_seen():
    whole = mean_interval(np.ones(40), seed=1, bounds=(0.0, 1.0))
    assert (whole.low, whole.value, whole.high) == (pytest.approx(rate_interval(40, 40).low), 1.0, 1.0)
    none = mean_interval(np.zeros(40), seed=1, bounds=(-1.0, 1.0))
    assert (none.low, none.high) == (pytest.approx(-unseen_share(40)), pytest.approx(unseen_share(40)))
    words = mean_interval(np.full(40, 17.0), seed=1)
    assert (words.low, words.high) == (17.0, 17.0)


def test_one_case_has_a_value_and_no_interval():
    for interval in (
        mean_interval(np.array([3.0]), seed=1),
        quantile_interval(np.array([3.0]), 0.95, seed=1),
        percentile_interval(3.0, np.array([3.0, 3.0]), 1),
    ):
        assert (interval.value, interval.low, interval.high, interval.n) == (3.0, None, None, 1)
    rate = rate_interval(1, 1)
    assert rate.low < 0.3
    bounded = mean_interval(np.array([1.0]), seed=1, bounds=(0.0, 1.0))
    assert bounded.low == pytest.approx(rate.low)


def test_a_higher_confidence_is_a_wider_interval():
    values = np.random.default_rng(1).random(50)
    for make in (
        lambda c: mean_interval(values, seed=1, confidence=c),
        lambda c: quantile_interval(values, 0.5, seed=1, confidence=c),
        lambda c: rate_interval(45, 50, confidence=c),
    ):
        usual, cautious = make(0.95), make(0.9875)
        assert cautious.low < usual.low
        assert cautious.high > usual.high


def test_quantiles_follow_numpy():
    values = np.arange(1.0, 101.0)
    interval = quantile_interval(values, 0.95, seed=1)
    assert interval.value == pytest.approx(np.quantile(values, 0.95))
    assert interval.low <= interval.value <= interval.high


def test_resampled_quantiles_are_numpys_of_the_drawn_values():
    from figures.stats import quantile_draws

    rng = np.random.default_rng(2)
    table = rng.lognormal(5, 1, size=(30, 3))
    table[4, 1] = table[9, 2] = np.nan
    weights = resample_weights(30, 6)
    draws = quantile_draws(table, 0.95, seed=6)
    for row in range(0, len(weights), 97):
        drawn = np.repeat(table, weights[row].astype(int), axis=0)
        assert draws[row] == pytest.approx(np.nanquantile(drawn, 0.95))


def test_repeats_of_a_case_are_drawn_together_and_are_no_further_cases():
    rng = np.random.default_rng(3)
    once = rng.lognormal(5, 1, size=40)
    alone = quantile_interval(once, 0.5, seed=1)
    copied = quantile_interval(np.column_stack([once] * 5), 0.5, seed=1)
    assert copied.n == 40
    assert copied.high - copied.low > 0.7 * (alone.high - alone.low)  # taken as 200 cases it would be less than half


def test_resamples_draw_every_row_as_many_cases_as_there_are():
    weights = resample_weights(7, 1, 11)
    assert weights.shape == (11, 7)
    assert set(weights.sum(axis=1)) == {7.0}
    assert normal_quantile(0.95) == pytest.approx(1.959964)


@pytest.mark.parametrize(
    ("means", "repeats", "worth"),
    [
        ([1.0, 1.0, 0.0, 1.0], 1, 4.0),
        ([1.0, 1.0, 0.0, 1.0], 3, 4.0),  # repeats never differ: they add nothing
        ([0.5, 0.5, 0.5, 0.5], 2, 4.0),
        ([1.0, 0.5, 0.5, 0.5], 2, 8.0),  # no more than the answers given
        ([1.0, 1.0, 1.0, 1.0], 3, 4.0),
    ],
)
def test_what_repeated_cases_are_worth(means, repeats, worth):
    assert effective_cases(np.array(means), repeats) == pytest.approx(worth)
