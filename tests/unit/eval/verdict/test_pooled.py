"""Figures of counts over all cases: ratios and kappa against hand-worked and reference values, intervals, differences."""

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import cohen_kappa_score

from eval.spine.cases import Case
from eval.spine.results import CaseResult
from eval.spine.suite import MetricSpec, NoWorse, Suite
from eval.verdict.deltas import build_deltas
from eval.verdict.metrics import build_metrics
from eval.verdict.pooled import Ratio, kappa_of, pooled, pooled_difference, pooled_interval
from figures.metric import Unit
from figures.stats import Interval
from service.core.run.task import TaskResult
from service.kit.frame.errors import FailureCode


class Letters(Ratio):
    """The share of an answer's letters that are an "a"."""

    def counts(self, case: Case, results: Any) -> dict[str, float]:
        texts = [result.output for result in results]
        size = sum(map(len, texts))
        return {"of": sum(t.count("a") for t in texts) / len(texts), "among": size / len(texts)} if size else {}


POOL = Letters()


def answers(*texts: str | None, repeat: int = 0) -> list[CaseResult]:
    return [
        CaseResult(
            case_id=f"case-{number}",
            arm="primary",
            repeat=repeat,
            live=True,
            result=TaskResult(
                output=text,
                arm="primary",
                model="m",
                answered_by="m",
                latency_ms=1.0,
                failure=FailureCode.OUTPUT_INVALID if text is None else None,
            ),
        )
        for number, text in enumerate(texts)
    ]


CASES = {f"case-{number}": Case(id=f"case-{number}", inputs={}) for number in range(60)}


def test_a_ratio_is_of_sums_and_not_the_mean_of_ratios() -> None:
    interval = pooled_interval(pooled(POOL, answers("a", "aabbbbbb", "bb"), CASES), seed=1)
    assert interval is not None
    assert (interval.value, interval.n) == (3 / 11, 3)


def test_repeats_of_a_case_weigh_as_one() -> None:
    once = pooled(POOL, answers("a", "bbb"), CASES)
    twice = pooled(POOL, [*answers("a", "bbb"), *answers("a", "bbb", repeat=1)], CASES)
    assert np.array_equal(once.counts, twice.counts)
    assert len(twice.case_ids) == 2


def test_a_failed_answer_and_one_with_nothing_to_count_are_left_out() -> None:
    side = pooled(POOL, answers("ab", None, ""), CASES)
    assert side.case_ids == ("case-0",)
    assert pooled_interval(pooled(POOL, answers(None, ""), CASES), seed=1) is None


def test_shares_of_0_and_1_have_an_interval_with_width() -> None:
    for text, value in (("aa", 1.0), ("bb", 0.0)):
        interval = pooled_interval(pooled(POOL, answers(*[text] * 40), CASES), seed=1)
        assert interval is not None
        assert interval.value == value
        assert interval.low is not None
        assert interval.high is not None
        assert interval.high - interval.low == pytest.approx(0.0876, abs=1e-3)  # Wilson's for 40 of 40
        assert 0.0 <= interval.low <= value <= interval.high <= 1.0


@given(st.lists(st.integers(0, 9), min_size=9, max_size=9))
def test_kappa_agrees_with_scikit_learn(cells: list[int]) -> None:
    table = np.array(cells, dtype=float).reshape(3, 3)
    pairs = [(row, column) for row in range(3) for column in range(3) for _ in range(int(table[row, column]))]
    ours = float(kappa_of(table))
    labelled, given_ = {row for row, _ in pairs}, {column for _, column in pairs}
    if not pairs or (labelled == given_ and len(labelled) == 1):
        assert math.isnan(ours)
        return
    with np.errstate(all="ignore"):
        assert ours == pytest.approx(cohen_kappa_score(*zip(*pairs, strict=True)), abs=1e-12)


def test_kappa_of_a_hand_worked_table() -> None:
    # Cohen 1960's form: 20 and 15 agree, 5 and 10 do not; 0.7 observed, 0.5 by chance.
    assert float(kappa_of(np.array([[20.0, 5.0], [10.0, 15.0]]))) == pytest.approx(0.4)


def difference(ours: list[CaseResult], theirs: list[CaseResult]) -> Interval | None:
    return pooled_difference(pooled(POOL, ours, CASES), pooled(POOL, theirs, CASES), CASES, seed=1)


def test_differences_are_paired() -> None:
    ours = answers(*["ab" if n % 2 else "abbb" for n in range(40)])
    same = difference(ours, list(reversed(ours)))
    assert same is not None
    assert same.value == 0.0
    assert same.low is not None
    assert same.low == pytest.approx(-0.0876, abs=1e-3)
    better = difference(answers(*["aab"] * 40), answers(*["abb"] * 40))
    assert better is not None
    assert better.value == pytest.approx(1 / 3)
    none = difference(ours[:3], answers(None, None, None))
    assert none is None


def test_only_cases_that_both_answered_are_compared() -> None:
    found = difference(answers("aa", None, "b"), answers("b", "a", "b"))
    assert found is not None
    assert (found.value, found.n) == (2 / 3 - 0.0, 2)


SUITE = Suite(
    task="summarize",
    gate_dataset="dev",
    scorers=(),
    pools={"letters": POOL},
    metrics=(MetricSpec(name="share", kind="pooled", score="letters", unit=Unit.RATE),),
    floors=(),
    no_worse=(NoWorse(metric="share", margin=0.1, reason="test"),),
    judged_only=(),
    max_unscored_rate=0.1,
    minimum_latency_calls=1,
)


def test_metrics_and_deltas_know_pooled_figures() -> None:
    ours = [*answers("ab", None, "aa"), *answers("bb", "ab", "aa", repeat=1)]
    metric = build_metrics(SUITE, CASES, ours, deadline_ms=1)["share"]
    assert metric.value == pytest.approx((0.5 + 1 + 2) / 6)
    assert (metric.n, metric.unscored) == (3, 1)
    assert metric.between_repeat_sd == pytest.approx(float(np.std([3 / 4, 3 / 6], ddof=1)))
    delta = build_deltas(SUITE, CASES, ours, answers("ab", "ab", "ab"))["share"]
    assert (delta.n, delta.value) == (3, pytest.approx(3.5 / 6 - 0.5))
    assert delta.mde is not None


def test_pools_are_part_of_the_suites_digest() -> None:
    import dataclasses

    more = {**SUITE.pools, "more": SUITE.pools["letters"]}
    assert dataclasses.replace(SUITE, pools=more).digest != SUITE.digest
