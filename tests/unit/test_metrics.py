import numpy as np
import pytest
from sacrebleu.metrics import BLEU, CHRF

from eval.cases import Case, Expectations
from eval.metrics import build_deltas, build_metrics, live_latencies
from eval.results import CaseResult, Score
from eval.suites import load_suite
from service.errors import FailureCode
from service.llm.pricing import Cost, Usage
from service.task import TaskResult

SUITE = load_suite("summarize")
REFERENCES = [
    "The customer disputes a late fee of forty dollars and waits for a call.",
    "Power was restored on Monday after a crew replaced the transformer.",
    "A deposit refund was promised in October and has not arrived yet.",
]
CASES = {
    f"case-{n}": Case(id=f"case-{n}", inputs={}, expectations=Expectations(references=(text,)))
    for n, text in enumerate(REFERENCES)
}


def result(n, output, *, live=True, measured_in=None, ms=100.0, failure=None, scores=None):
    answered = TaskResult(
        output=None if failure else output,
        arm="primary",
        model="m",
        answered_by="m",
        latency_ms=ms,
        model_ms=ms,
        usage=Usage(),
        cost=Cost(metered_usd=1, cold_usd=2, warm_usd=1),
        failure=failure,
    )
    values = scores or {}
    return CaseResult(
        case_id=f"case-{n}",
        arm="primary",
        repeat=0,
        result=answered,
        live=live,
        measured_in=measured_in,
        scores={k: Score(value=v) if v is not None else Score(value=None, unscored="x") for k, v in values.items()},
    )


def test_corpus_figures_are_sacrebleus_own():
    outputs = [
        "The customer disputes a late fee of $40.",
        "Power was restored after a crew came on Monday.",
        "A refund was promised in October.",
    ]
    metrics = build_metrics(SUITE, CASES, [result(n, text) for n, text in enumerate(outputs)], deadline_ms=5000)
    assert metrics["bleu"].value == pytest.approx(BLEU().corpus_score(outputs, [REFERENCES]).score)
    assert metrics["chrf"].value == pytest.approx(CHRF(word_order=2).corpus_score(outputs, [REFERENCES]).score)
    assert metrics["bleu"].low <= metrics["bleu"].value <= metrics["bleu"].high


def test_failures_are_unscored_not_zero():
    answers = [
        result(0, REFERENCES[0], scores={"fact_coverage": 1.0}),
        result(1, "", failure=FailureCode.DEADLINE),
        result(2, REFERENCES[2]),
    ]
    metrics = build_metrics(SUITE, CASES, answers, deadline_ms=5000)
    assert (metrics["answered"].value, metrics["answered"].n) == (pytest.approx(2 / 3), 3)
    assert (metrics["fact_coverage"].value, metrics["fact_coverage"].n, metrics["fact_coverage"].unscored) == (
        1.0,
        1,
        1,
    )
    assert (metrics["bleu"].n, metrics["bleu"].unscored) == (2, 1)
    assert metrics["bleu"].value == pytest.approx(100)


def test_latency_counts_live_answers_only():
    answers = [
        result(0, "a", ms=100.0),
        result(1, "b", ms=0.1, live=False, measured_in="run-0"),
        result(2, "c", ms=300.0),
    ]
    found = live_latencies(answers, deadline_ms=200, minimum=2)
    assert (list(found.values), found.on_time, found.measured_in) == ([100.0, 300.0], 1, None)


def test_without_live_calls_the_newest_run_that_measured_enough_is_named():
    answers = [result(n, "a", ms=100.0 + n, live=False, measured_in="run-2") for n in range(3)]
    answers += [result(0, "a", ms=9.0, live=False, measured_in="run-3")]
    found = live_latencies(answers, deadline_ms=200, minimum=3)
    assert list(found.values) == [100.0, 101.0, 102.0]
    assert "run-2" in found.note


def test_deltas_are_paired_on_the_cases_that_both_answered_and_positive_is_better():
    ours = [result(n, REFERENCES[n], scores={"fact_coverage": 0.75, "words": 10.0}) for n in range(3)]
    theirs = [result(n, "Nothing alike at all here.", scores={"fact_coverage": 0.5, "words": 30.0}) for n in range(2)]
    theirs.append(result(2, "", failure=FailureCode.DEADLINE, scores={"fact_coverage": None, "words": None}))
    deltas = build_deltas(SUITE, CASES, ours, theirs)
    assert (deltas["fact_coverage"].value, deltas["fact_coverage"].n, deltas["fact_coverage"].unscored) == (0.25, 2, 1)
    assert deltas["words"].value == 20.0  # fewer words: better
    assert deltas["answered"].value == pytest.approx(1 / 3)
    assert deltas["bleu"].value > 50
    assert "latency_p95" not in deltas


def test_a_pair_against_itself_has_no_difference():
    rng = np.random.default_rng(1)
    ours = [result(n, REFERENCES[n], scores={"fact_coverage": float(rng.random())}) for n in range(3)]
    for name, delta in build_deltas(SUITE, CASES, ours, ours).items():
        assert delta.value in (None, 0.0), name
