import warnings
from dataclasses import replace

import pytest
from builders import CASES, REFERENCES, case_result
from sacrebleu.metrics import BLEU, CHRF

from eval.spine.results import Score, Timing
from eval.suites import load_suite
from eval.verdict.kinds.kind import live_latencies
from eval.verdict.metrics import build_metrics, build_slice_metrics
from service.kit.frame.errors import FailureCode

SUITE = load_suite("summarize")


def test_corpus_figures_are_sacrebleus_own():
    outputs = [
        "The customer disputes a late fee of $40.",
        "Power was restored after a crew came on Monday.",
        "A refund was promised in October.",
    ]
    metrics = build_metrics(SUITE, CASES, [case_result(n, text) for n, text in enumerate(outputs)], deadline_ms=5000)
    assert metrics["bleu"].value == pytest.approx(BLEU().corpus_score(outputs, [REFERENCES]).score)
    assert metrics["chrf"].value == pytest.approx(CHRF(word_order=2).corpus_score(outputs, [REFERENCES]).score)
    assert metrics["bleu"].low <= metrics["bleu"].value <= metrics["bleu"].high


def test_failures_are_unscored_not_zero():
    answers = [
        case_result(0, REFERENCES[0], scores={"fact_coverage": 1.0}),
        case_result(1, "", failure=FailureCode.DEADLINE),
        case_result(2, REFERENCES[2]),
    ]
    metrics = build_metrics(SUITE, CASES, answers, deadline_ms=5000)
    assert (metrics["answered"].value, metrics["answered"].n) == (pytest.approx(2 / 3), 3)
    assert (metrics["fact_coverage"].value, metrics["fact_coverage"].n, metrics["fact_coverage"].unscored) == (
        1.0,
        1,
        2,
    )
    assert (metrics["bleu"].n, metrics["bleu"].unscored) == (2, 1)
    assert metrics["bleu"].value == pytest.approx(100)


def test_latency_counts_live_answers_only():
    answers = [
        case_result(0, "a", ms=100.0),
        case_result(1, "b", ms=0.1, live=False, measured_in="run-0"),
        case_result(2, "c", ms=300.0),
    ]
    found = live_latencies(answers, deadline_ms=200, minimum=2)
    assert (list(found.table().ravel()), found.on_time, found.measured_in) == (
        [100.0, 300.0],
        {"case-0": 1.0, "case-2": 0.0},
        None,
    )


def test_latency_is_the_whole_requests_and_never_less_than_its_calls():
    waited = case_result(0, "a", ms=100.0)
    waited = replace(waited, result=replace(waited.result, latency_ms=180.0))
    scripted = case_result(1, "b", ms=300.0)
    scripted = replace(scripted, result=replace(scripted.result, latency_ms=2.0))
    found = live_latencies([waited, scripted], deadline_ms=150, minimum=1)
    assert list(found.table().ravel()) == [180.0, 300.0]
    assert found.on_time == {"case-0": 0.0, "case-1": 0.0}


def test_without_live_calls_the_newest_run_that_measured_enough_is_named():
    answers = [case_result(n, "a", ms=100.0 + n, live=False, measured_in="run-2") for n in range(3)]
    answers += [case_result(0, "a", ms=9.0, live=False, measured_in="run-3")]
    found = live_latencies(answers, deadline_ms=200, minimum=3)
    assert list(found.table().ravel()) == [100.0, 101.0, 102.0]
    assert "run-2" in found.note


def test_a_request_whose_calls_are_of_two_runs_measures_nothing_and_is_counted():
    answers = [case_result(0, "a", ms=100.0), case_result(1, "b", ms=9.0, live=False)]
    found = live_latencies(answers, deadline_ms=200, minimum=1)
    assert (found.by_case, found.mixed) == ({"case-0": [100.0]}, 1)
    assert found.note == "1 of 2 left out, whose model calls are of several runs; --fresh times all"
    metrics = build_metrics(SUITE, CASES, answers, deadline_ms=200)
    assert metrics["latency_p95"].value == 100.0
    assert metrics["on_time"].note == found.note


def test_each_turn_of_a_conversation_is_timed_and_the_conversation_is_drawn():
    turns = [(100.0, 900.0, 300.0), (200.0,), (400.0, 150.0)]
    answers = [
        replace(case_result(n, "a", ms=9000.0), timings=tuple(Timing(ms=ms, live=True) for ms in each))
        for n, each in enumerate(turns)
    ]
    found = live_latencies(answers, deadline_ms=350, minimum=1)
    assert (found.count, found.on_time) == (6, {"case-0": 2 / 3, "case-1": 1.0, "case-2": 0.5})
    metrics = build_metrics(SUITE, CASES, answers, deadline_ms=350)
    assert metrics["latency_p50"].value == pytest.approx(250.0)
    assert metrics["latency_p50"].n == 3
    mixed = replace(answers[0], timings=(*answers[0].timings[:2], Timing(ms=1.0, live=False)))
    assert live_latencies([mixed, *answers[1:]], deadline_ms=350, minimum=1).mixed == 1


def test_repeats_of_a_case_are_one_case():
    once = [case_result(n, REFERENCES[n], scores={"fact_coverage": n / 2, "grounded": float(n > 0)}) for n in range(3)]
    thrice = [replace(item, repeat=repeat) for repeat in range(3) for item in once]
    first, copied = (build_metrics(SUITE, CASES, items, deadline_ms=5000) for items in (once, thrice))
    for name in ("fact_coverage", "grounded", "bleu", "chrf", "answered", "cost_cold"):
        ours, theirs = first[name], copied[name]
        assert (ours.value, ours.low, ours.high, ours.n) == (
            pytest.approx(theirs.value),
            pytest.approx(theirs.low),
            pytest.approx(theirs.high),
            theirs.n,
        ), name
        assert ours.between_repeat_sd is None
        assert theirs.between_repeat_sd == pytest.approx(0, abs=1e-9)
    assert copied["latency_p50"].n == 3


def test_the_spread_between_repeats_is_shown_and_failures_count_by_their_share():
    answers = [case_result(n, "a", scores={"fact_coverage": value}) for n, value in enumerate((0.5, 0.5, 0.5))]
    answers += [case_result(n, "a", repeat=1, scores={"fact_coverage": 0.7}) for n in range(2)]
    answers.append(case_result(2, "", repeat=1, failure=FailureCode.DEADLINE))
    metrics = build_metrics(SUITE, CASES, answers, deadline_ms=5000)
    assert metrics["fact_coverage"].value == pytest.approx((0.6 + 0.6 + 0.5) / 3)
    assert metrics["fact_coverage"].between_repeat_sd == pytest.approx(0.1414, abs=1e-4)
    assert (metrics["fact_coverage"].n, metrics["fact_coverage"].unscored) == (3, 1)
    assert metrics["answered"].value == pytest.approx(5 / 6)


def test_more_looks_make_wider_intervals():
    answers = [case_result(n, REFERENCES[n], scores={"fact_coverage": n / 2, "grounded": 1.0}) for n in range(3)]
    usual = build_metrics(SUITE, CASES, answers, deadline_ms=5000)
    cautious = build_metrics(SUITE, CASES, answers, deadline_ms=5000, confidence=0.9875)
    for name in ("grounded", "answered"):
        assert cautious[name].low < usual[name].low
        assert cautious[name].confidence == 0.9875


@pytest.mark.parametrize("count", [0, 1, 3])
def test_no_case_one_case_and_equal_scores_are_defined_without_a_warning(count):
    answers = [case_result(n, REFERENCES[n], scores={"fact_coverage": 1.0, "grounded": 1.0}) for n in range(count)]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        metrics = build_metrics(SUITE, CASES, answers, deadline_ms=5000)
    for metric in metrics.values():
        assert metric.n in (0, count)
        assert (metric.value is None) == (metric.n == 0)
        if metric.low is not None:
            assert metric.low <= metric.value <= metric.high


def test_a_slices_metric_is_over_its_cases_only():
    cases = {
        name: case.model_copy(update={"slices": {"tempting_wrong": name != "case-0"}}) for name, case in CASES.items()
    }
    answers = [case_result(n, "a", scores={"forbidden_clear": float(n > 0)}) for n in range(3)]
    found = {floor.label: metric for floor, metric in build_slice_metrics(SUITE, cases, answers, deadline_ms=1).items()}
    assert (found["tempting_wrong"].value, found["tempting_wrong"].n) == (1.0, 2)
    assert found["vulnerable"].value is None


def test_a_score_without_value_is_unscored_unless_it_does_not_apply():
    crashed = Score(value=None, unscored="it crashed")
    silent = Score(value=None, unscored="none listed", applies=False)
    answers = [case_result(n, "a", scores={"fact_coverage": 1.0}) for n in range(3)]
    answers[1] = replace(answers[1], scores={"fact_coverage": crashed})
    answers[2] = replace(answers[2], scores={"fact_coverage": silent})
    found = build_metrics(SUITE, CASES, answers, deadline_ms=5000)["fact_coverage"]
    assert (found.n, found.unscored) == (1, 1)


def test_answers_without_a_score_count_although_other_repeats_of_their_cases_have_one():
    lost = {(0, 1), (0, 2), (0, 3), (1, 1), (2, 0)}  # 5 of 12 answers: as many as make up two of three cases
    answers = [
        case_result(n, "a", repeat=repeat, scores={"fact_coverage": None if (n, repeat) in lost else 1.0})
        for repeat in range(4)
        for n in range(3)
    ]
    found = build_metrics(SUITE, CASES, answers, deadline_ms=5000)["fact_coverage"]
    assert (found.value, found.n, found.unscored) == (1.0, 3, 2)


@pytest.mark.parametrize(("lag_ms", "decides"), [(40.0, True), (60.0, False)])
def test_times_that_are_mostly_the_harness_s_own_may_be_any_better_ones(lag_ms, decides):
    answers = [replace(case_result(n, "a", ms=100.0 + n), lag_ms=lag_ms) for n in range(3)]
    metrics = build_metrics(SUITE, CASES, answers, deadline_ms=5000)
    for name in ("latency_p95", "on_time"):
        assert metrics[name].value is not None
        assert (metrics[name].method.startswith("this machine was short of CPU")) is not decides
    assert (metrics["latency_p95"].low == 0.0) is not decides
    assert metrics["on_time"].high == 1.0
