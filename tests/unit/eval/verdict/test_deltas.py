import warnings
from dataclasses import replace

import numpy as np
import pytest
from builders import CASES, REFERENCES, case_result

from eval.spine.cases import Case
from eval.spine.results import Score
from eval.suites import load_suite
from eval.verdict.deltas import build_deltas
from figures.metric import Unit
from service.kit.frame.errors import FailureCode

SUITE = load_suite("summarize")


def test_deltas_are_paired_on_the_cases_that_both_answered_and_positive_is_better():
    ours = [case_result(n, REFERENCES[n], scores={"fact_coverage": 0.75, "words": 10.0}) for n in range(3)]
    theirs = [
        case_result(n, "Nothing alike at all here.", scores={"fact_coverage": 0.5, "words": 30.0}) for n in range(2)
    ]
    theirs.append(case_result(2, "", failure=FailureCode.DEADLINE, scores={"fact_coverage": None, "words": None}))
    deltas = build_deltas(SUITE, CASES, ours, theirs)
    assert (deltas["fact_coverage"].value, deltas["fact_coverage"].n, deltas["fact_coverage"].unscored) == (0.25, 2, 1)
    assert deltas["words"].value == 20.0  # fewer words: better
    assert deltas["answered"].value == pytest.approx(1 / 3)
    assert "on_time" not in deltas


def test_a_pair_against_itself_has_no_difference():
    rng = np.random.default_rng(1)
    ours = [case_result(n, REFERENCES[n], scores={"fact_coverage": float(rng.random())}) for n in range(3)]
    for name, delta in build_deltas(SUITE, CASES, ours, ours).items():
        assert delta.value in (None, 0.0), name
        assert delta.p_value in (None, 1.0), name


def test_corpus_figures_are_compared_as_a_share_of_productions():
    theirs = [case_result(n, REFERENCES[n]) for n in range(3)]
    ours = [replace(theirs[0], result=replace(theirs[0].result, output=REFERENCES[0][:40])), *theirs[1:]]
    chrf = build_deltas(SUITE, CASES, ours, theirs)["chrf"]
    assert chrf.unit is Unit.CHANGE
    assert -1 < chrf.value < 0  # production's chrF is 100


def test_a_production_without_any_overlap_is_no_measure_for_corpus_figures():
    theirs = [case_result(n, "xxxx") for n in range(3)]
    bleu = build_deltas(SUITE, CASES, [case_result(n, REFERENCES[n]) for n in range(3)], theirs)["bleu"]
    assert (bleu.value, bleu.comparable) == (None, False)
    assert "share no n-gram" in bleu.note


def many(count=60, **changes):
    rng = np.random.default_rng(4)
    return [case_result(n % 3, "a", ms=float(ms), **changes) for n, ms in enumerate(rng.lognormal(6, 0.3, count))]


def spread(items, cases=60):
    return [replace(item, case_id=f"case-{n}") for n, item in enumerate(items[:cases])]


MANY = {f"case-{n}": Case(id=f"case-{n}", inputs={}) for n in range(60)}


def slower(items, ratio):
    return [replace(i, result=replace(i.result, model_ms=i.result.model_ms * ratio)) for i in items]


def test_slower_by_half_is_seen_when_both_were_called_in_turn():
    production = spread(many())
    deltas = build_deltas(SUITE, MANY, slower(production, 1.5), production, timing="in turn")
    p95 = deltas["latency_p95"]
    assert (p95.unit, p95.value, p95.n) == (Unit.CHANGE, pytest.approx(-0.5), 60)
    assert p95.high < -0.25


@pytest.mark.parametrize(
    ("timing", "changes", "words", "comparable"),
    [
        ("apart", {}, "not called in turn", True),
        ("in turn", {"live": False, "measured_in": "run-0"}, "not both were called live", True),
        ("no calls", {}, "calls no model", False),
    ],
)
def test_latencies_of_different_loads_are_not_compared(timing, changes, words, comparable):
    production = spread(many())
    candidate = [replace(item, **changes) for item in production]
    p95 = build_deltas(SUITE, MANY, candidate, production, timing=timing)["latency_p95"]
    assert (p95.value, p95.comparable) == (None, comparable)
    assert words in p95.note


def test_a_cost_difference_is_a_share_of_productions_cost():
    production, candidate = spread(many(cost=0.0003)), spread(many(cost=0.0004))
    cost = build_deltas(SUITE, MANY, candidate, production)["cost_cold"]
    assert (cost.unit, cost.value, cost.high) == (Unit.CHANGE, pytest.approx(-1 / 3), pytest.approx(-1 / 3))


def test_costs_are_not_compared_with_a_free_production():
    cost = build_deltas(SUITE, MANY, spread(many(cost=0.0004)), spread(many(cost=0.0)))["cost_cold"]
    assert (cost.value, cost.comparable) == (None, False)
    assert "cost nothing" in cost.note


def test_rates_come_with_mcnemar_and_the_smallest_detectable_drop():
    production = spread([case_result(0, "a", scores={"guard_clear": 1.0}) for _ in range(60)])
    candidate = [replace(i, scores={"guard_clear": Score(value=float(n > 5))}) for n, i in enumerate(production)]
    guard_clear = build_deltas(SUITE, MANY, candidate, production)["guard_clear"]
    assert guard_clear.value == pytest.approx(-0.1)
    assert guard_clear.p_value == pytest.approx(2 / 2**6)
    assert guard_clear.test == "McNemar exact, +0 -6"
    assert 0.05 < guard_clear.mde < 0.3
    assert guard_clear.needed_n > 60


def test_corpus_figures_are_tested_by_randomisation():
    ours = [case_result(n, REFERENCES[n]) for n in range(3)]
    bleu = build_deltas(SUITE, CASES, ours, list(reversed(ours)))["bleu"]
    assert (bleu.value, bleu.p_value) == (0.0, 1.0)
    assert bleu.test.startswith("approximate randomisation")


@pytest.mark.parametrize("count", [0, 1, 3])
def test_empty_one_case_and_equal_scores_are_defined_without_a_warning(count):
    ours = [case_result(n, REFERENCES[n], scores={"fact_coverage": 1.0, "grounded": 1.0}) for n in range(count)]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        deltas = build_deltas(SUITE, CASES, ours, ours, timing="in turn")
    for name in ("bleu", "grounded", "fact_coverage", "answered", "latency_p95", "cost_cold"):
        assert (deltas[name].value is None) == (deltas[name].n == 0), name


def test_repeats_do_not_narrow_a_difference_that_comes_from_the_cases():
    rng = np.random.default_rng(6)
    values = rng.random(60)
    base = spread([case_result(0, "a", scores={"fact_coverage": 0.5}) for _ in range(60)])
    once = [replace(i, scores={"fact_coverage": Score(value=float(v))}) for i, v in zip(base, values, strict=True)]
    thrice = [replace(item, repeat=repeat) for repeat in range(3) for item in once]
    single = build_deltas(SUITE, MANY, once, base)["fact_coverage"]
    copied = build_deltas(SUITE, MANY, thrice, base)["fact_coverage"]
    assert (copied.low, copied.high, copied.n) == (pytest.approx(single.low), pytest.approx(single.high), 60)


def test_cases_to_which_a_score_does_not_apply_are_not_missing():
    def answers(value):
        kept = case_result(0, "a", scores={"fact_coverage": value})
        silent = [
            replace(
                case_result(n, "a"), scores={"fact_coverage": Score(value=None, unscored="none listed", applies=False)}
            )
            for n in (1, 2)
        ]
        return [kept, *silent]

    delta = build_deltas(SUITE, CASES, answers(1.0), answers(0.5))["fact_coverage"]
    assert (delta.n, delta.unscored) == (1, 0)
