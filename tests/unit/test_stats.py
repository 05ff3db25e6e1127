import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eval.stats import difference_interval, mean_interval, quantile_interval, rate_interval, resample_indices


def test_the_same_seed_gives_the_same_interval():
    values = np.random.default_rng(1).random(50)
    assert mean_interval(values, seed=7) == mean_interval(values, seed=7)
    assert mean_interval(values, seed=7) != mean_interval(values, seed=8)


def test_wilson_by_hand():
    # Wilson 1927 for 8 of 10: (0.4902, 0.9433) to four places, as in every textbook table.
    interval = rate_interval(8, 10)
    assert (interval.low, interval.high) == (pytest.approx(0.4902, abs=1e-4), pytest.approx(0.9433, abs=1e-4))


@given(st.integers(1, 500), st.data())
def test_a_rate_lies_inside_its_interval_and_the_interval_inside_zero_and_one(n, data):
    successes = data.draw(st.integers(0, n))
    interval = rate_interval(successes, n)
    assert 0 <= interval.low <= interval.value <= interval.high <= 1
    assert interval.high > interval.low


def test_a_rate_without_trials_is_refused():
    with pytest.raises(ValueError, match="n >= 1"):
        rate_interval(0, 0)


def test_coverage_of_the_mean_interval_is_near_95_percent():
    rng = np.random.default_rng(3)
    hits = 0
    for seed in range(300):
        interval = mean_interval(rng.normal(10, 2, size=60), seed=seed)
        hits += interval.low <= 10 <= interval.high
    assert 0.90 <= hits / 300 <= 0.98


def test_pairing_makes_a_constant_difference_certain():
    baseline = np.random.default_rng(1).normal(0, 100, size=40)
    candidate = baseline + 1
    interval = difference_interval(
        lambda index: candidate[index].mean(axis=1), lambda index: baseline[index].mean(axis=1), 40, seed=1
    )
    assert (interval.low, interval.value, interval.high) == (pytest.approx(1), pytest.approx(1), pytest.approx(1))


def test_quantiles_follow_numpy():
    values = np.arange(1.0, 101.0)
    interval = quantile_interval(values, 0.95, seed=1)
    assert interval.value == pytest.approx(np.quantile(values, 0.95))
    assert interval.low <= interval.value <= interval.high


def test_resamples_have_the_documented_shape():
    assert resample_indices(7, seed=1, resamples=11).shape == (11, 7)
