"""pass^k: unbiased, against all subsets by hand; failed, unjudged and missing tries; interval, gate and comparison."""

from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest
from pool_answers import FAILED, cases_labelled, scored

from eval.spine.suite import MetricSpec, Suite
from eval.verdict.deltas import build_deltas
from eval.verdict.metrics import build_metrics
from eval.verdict.pooled import pooled, pooled_interval
from eval.verdict.pools import PassHat, ScoreReaches
from figures.metric import Unit
from figures.stats import mean_interval

RIGHT = ScoreReaches("right")
CASES = cases_labelled(["any"] * 60)
SUITE = Suite(
    task="summarize",
    gate_dataset="dev",
    scorers=(),
    pools={"pass_1": PassHat(k=1, right=RIGHT), "pass_4": PassHat(k=4, right=RIGHT)},
    metrics=(
        MetricSpec(name="pass_1", kind="pooled", score="pass_1", unit=Unit.RATE),
        MetricSpec(name="pass_4", kind="pooled", score="pass_4", unit=Unit.RATE),
    ),
    floors=(),
    no_worse=(),
    judged_only=(),
    max_unscored_rate=0.02,
    minimum_latency_calls=1,
    least_repeats=4,
)


def value(k, tries):
    return pooled_interval(pooled(PassHat(k=k, right=RIGHT), scored(tries), CASES), seed=1).value


@pytest.mark.parametrize("k", [1, 2, 3, 4])
def test_it_is_the_share_of_all_sets_of_k_tries_that_are_all_right(k):
    rng = np.random.default_rng(k)
    tries = (rng.random((12, 6)) < 0.7).astype(int).tolist()
    by_hand = [np.mean([all(chosen) for chosen in combinations(case, k)]) for case in tries]
    assert value(k, tries) == pytest.approx(np.mean(by_hand))


def test_it_is_unbiased():
    rng = np.random.default_rng(3)
    chances = rng.uniform(0.5, 1.0, 60)
    found = [value(4, (rng.random((60, 5)) < chances[:, None]).astype(int).tolist()) for _ in range(200)]
    error = np.std(found) / np.sqrt(len(found))
    assert np.mean(found) == pytest.approx(np.mean(chances**4), abs=4 * error)


def test_a_failed_answer_is_not_right():
    assert value(1, [[1, 1, 1, FAILED]]) == 0.75
    assert value(4, [[1, 1, 1, FAILED], [1, 1, 1, 1]]) == 0.5


def test_a_case_with_fewer_than_k_tries_is_not_counted_and_the_figure_says_so():
    metrics = build_metrics(SUITE, CASES, scored([[1, 1, 1, 1], [1, 1, 0], [1, 1, 1, None]]), deadline_ms=1)
    assert (metrics["pass_4"].value, metrics["pass_4"].n, metrics["pass_4"].unscored) == (1.0, 1, 2)
    assert metrics["pass_4"].note == "without 2 cases: fewer than 4 of their answers can be judged"
    assert (metrics["pass_1"].value, metrics["pass_1"].n) == (pytest.approx((1 + 2 / 3 + 1) / 3), 3)
    assert metrics["pass_1"].note == ""


def test_the_conversation_is_drawn_and_not_its_repeats():
    tries = [[1, 1, 1, 1], [0, 0, 0, 0]] * 30
    once, often = (
        pooled_interval(pooled(PassHat(k=1, right=RIGHT), scored(rows), CASES), seed=1)
        for rows in ([row[:1] for row in tries], tries)
    )
    assert (often.low, often.high, often.n) == (once.low, once.high, 60)


def test_the_interval_is_that_of_a_mean_and_stays_inside_its_bounds():
    tries = [[1, 1, 1, 1]] * 46 + [[0, 1, 1, 1], [0, 0, 0, 0]]
    found = pooled_interval(pooled(PassHat(k=1, right=RIGHT), scored(tries), CASES), seed=1)
    values = np.array([1.0] * 46 + [0.75, 0.0])
    mean = mean_interval(values, seed=1, bounds=(0.0, 1.0))
    assert (found.value, found.low, found.method) == (pytest.approx(mean.value), pytest.approx(mean.low), mean.method)
    assert found.high == min(mean.high, 1.0)


def test_the_difference_is_paired_and_counts_cases_that_only_one_side_can_judge():
    ours = [[1, 1, 1, 1]] * 30 + [[0, 1, 1, 1]] * 9 + [[1, 1, 1, None]]
    theirs = [[1, 1, 1, 1]] * 40
    delta = build_deltas(SUITE, CASES, scored(ours), scored(theirs))["pass_4"]
    assert (delta.value, delta.n, delta.unscored) == (pytest.approx(-9 / 39), 39, 1)
    equal = build_deltas(SUITE, CASES, scored(ours), scored(ours))["pass_4"]
    assert equal.value == 0.0
    assert delta.high < 0 < equal.high


def test_a_score_may_be_graded():
    half = replace(PassHat(k=1, right=RIGHT), right=ScoreReaches("right", 0.5))
    assert pooled_interval(pooled(half, scored([[0.6], [0.4]]), CASES), seed=1).value == 0.5


@pytest.mark.parametrize(
    ("uncounted", "said"), [(0, ""), (1, "without 1 case: fewer than 4 of its answers can be judged")]
)
def test_the_note_counts_in_plain_words(uncounted, said):
    pool = PassHat(k=4, right=ScoreReaches("right"))
    assert pool.note(("of", "among"), np.zeros((0, 2)), uncounted) == said
