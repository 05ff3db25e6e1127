"""Confidences: coverage and calibration against plain computations, scikit-learn's bins, and ties."""

import math

import numpy as np
import pytest
from pool_answers import answers, cases_labelled, label_of, predicted
from sklearn.calibration import calibration_curve

from eval.verdict.pooled import pooled, pooled_interval
from eval.verdict.pools import AccuracyAtCoverage, CalibrationError, CoverageAtAccuracy

READERS = {"label": label_of, "predicted": predicted}


def side_of(pool, confidences, right):
    """Cases of class "a", of which those that are ``right`` are answered "a", with ``confidences``."""
    said = [[f"{'a' if hit else 'b'} {confidence!r}"] for confidence, hit in zip(confidences, right, strict=True)]
    return pooled(pool, answers(said), cases_labelled(["a"] * len(said)))


def value(pool, confidences, right):
    side = side_of(pool, confidences, right)
    return float(side.figures(np.ones((1, len(right))))[0])


@pytest.mark.parametrize("seed", range(5))
def test_coverage_and_accuracy_are_those_of_the_most_confident(seed):
    rng = np.random.default_rng(seed)
    confidences = rng.permutation(np.linspace(0.3, 0.99, 40)).tolist()
    right = rng.random(40) < np.array(confidences)
    order = np.argsort(-np.array(confidences))
    hits = np.cumsum(right[order])
    for coverage in (0.25, 0.5, 0.8, 1.0):
        most = round(40 * coverage)
        found = value(AccuracyAtCoverage(coverage=coverage, **READERS), confidences, right)
        assert found == pytest.approx(hits[most - 1] / most)
    for accuracy in (0.5, 0.8, 0.95):
        enough = [n for n in range(1, 41) if hits[n - 1] / n >= accuracy]
        found = value(CoverageAtAccuracy(accuracy=accuracy, **READERS), confidences, right)
        assert found == pytest.approx(max(enough, default=0) / 40)


def test_a_cut_among_equal_confidences_takes_each_in_part():
    # The half covered is one sure right answer, and one of three that tie, of which one is right.
    assert value(AccuracyAtCoverage(coverage=0.5, **READERS), [0.9, 0.5, 0.5, 0.5], [1, 1, 0, 0]) == pytest.approx(
        (1 + 1 / 3) / 2
    )
    # One threshold lets all three through, or none.
    assert value(CoverageAtAccuracy(accuracy=0.6, **READERS), [0.9, 0.5, 0.5, 0.5], [1, 1, 0, 0]) == 0.25


def test_what_abstains_is_covered_last_and_passes_no_threshold():
    cases = cases_labelled(["a", "a", "a", "a"])
    said = answers([["a 0.2"], ["a 0.1"], [None], [None]])
    figures = {
        AccuracyAtCoverage(coverage=0.5, **READERS): 1.0,
        AccuracyAtCoverage(coverage=1.0, **READERS): 0.5,
        CoverageAtAccuracy(accuracy=0.5, **READERS): 0.5,
        CalibrationError(bins=1, **READERS): 0.85,
    }
    for pool, expected in figures.items():
        assert pooled_interval(pooled(pool, said, cases), seed=1).value == pytest.approx(expected)


@pytest.mark.parametrize("seed", range(5))
def test_the_calibration_error_is_that_of_scikit_learns_equal_mass_bins(seed):
    rng = np.random.default_rng(seed)
    confidences = np.sort(rng.random(100))
    right = rng.random(100) < confidences**2
    accuracy, confidence = calibration_curve(right, confidences, n_bins=10, strategy="quantile")
    expected = np.abs(accuracy - confidence).mean()
    assert value(CalibrationError(**READERS), confidences.tolist(), right) == pytest.approx(expected)


def test_the_note_says_what_chance_alone_gives():
    rng = np.random.default_rng(7)
    pool, found, noted = CalibrationError(**READERS), [], []
    for _ in range(30):
        confidences = rng.uniform(0.5, 1.0, 200)
        side = side_of(pool, confidences.tolist(), rng.random(200) < confidences)  # calibrated
        found.append(float(side.figures(np.ones((1, 200)))[0]))
        noted.append(float(side.note.split()[6]))
    assert side.note.endswith("with 200 cases")
    assert np.mean(noted) == pytest.approx(np.mean(found), rel=0.1)
    assert np.mean(found) > 0.05  # the bias: the true error is 0


def test_nothing_answered_is_no_figure():
    side = pooled(CalibrationError(**READERS), answers([[None]]), cases_labelled(["a"]))
    assert math.isnan(float(side.figures(np.ones((1, 1)))[0]))
    assert side.note == ""
