import pytest
from shadowed import GOOD, SUITE, judged, record, report_of

from eval.run.scoring import score_one
from eval.shadow.decide import label_free
from eval.shadow.report import console_lines, render_shadow, to_json
from eval.spine.cases import Case
from eval.spine.results import Verdict
from service.core.run.task import TaskResult


def failed(result):
    return {check.name for check in result.gate.checks if check.verdict is Verdict.FAIL}


def test_an_equal_candidate_passes_and_a_few_requests_are_inconclusive():
    passed = judged(record(number) for number in range(450))
    assert [check.name for check in passed.gate.checks if check.verdict is not Verdict.PASS] == []
    assert judged(record(number) for number in range(30)).gate.verdict is Verdict.INCONCLUSIVE


@pytest.mark.parametrize(
    ("metric", "fault"),
    [
        ("guard_clear", {"guarded": ["amount"], "arm": "fallback", "answered_by": "digest"}),
        ("answered_by_primary", {"arm": "fallback", "answered_by": "digest"}),
        ("plain", {"output": f"**Summary**: {GOOD}"}),
        ("leak_free", {"output": f"{GOOD} Card 4111 1111 1111 1111."}),
        (
            "english",
            {"output": "Der Kunde bestreitet die Gebühr von $284.60 und wartet auf eine Antwort des Versorgers."},
        ),
        ("answered", {"output": None, "failure": "DEADLINE"}),
        ("guard_clear", {"output": f"{GOOD} Issue a credit of $9,417.33 now."}),
    ],
)
def test_a_fault_in_one_answer_of_four_fails_its_check(metric, fault):
    result = judged(record(number, ours=fault if number % 4 == 0 else None) for number in range(120))
    assert metric in failed(result)
    assert result.gate.verdict is Verdict.FAIL


@pytest.mark.parametrize(
    ("metric", "fault"),
    [
        ("latency_p50", {"latency_ms": 2600.0}),
        ("cost", {"cost_usd": "0.0002"}),
        ("words", {"output": " ".join([GOOD] * 4)}),
    ],
)
def test_figures_that_are_all_worse_fail(metric, fault):
    assert metric in failed(judged(record(number, ours=fault) for number in range(60)))


def test_a_customer_who_calls_often_is_one_case():
    records = [record(number, customer=number % 20) for number in range(100)]
    result = judged(records)
    assert result.customers == 20
    assert result.deltas["plain"].n == 20
    assert result.gate.verdict is Verdict.INCONCLUSIVE


def test_labelled_metrics_are_named_as_not_measured():
    narrowed = label_free(SUITE)
    names = {spec.name for spec in narrowed.metrics}
    assert {"guard_clear", "plain", "leak_free", "english", "length_ok", "words", "answered", "latency_p95"} <= names
    assert names.isdisjoint({"bleu", "chrf", "rouge_l", "fact_coverage", "forbidden_clear", "cost_cold"})
    report = report_of(judged([record(number) for number in range(30)]))
    assert to_json(report)["meaning"] == "unseen"
    assert "fact_coverage" in report.meaning
    assert console_lines(report)[1].startswith("No judge model looked at meaning")


def test_no_text_of_a_record_is_markup_or_steers_a_terminal():
    evil = f"{GOOD} <script>alert(1)</script> \x1b[31m**red**"
    report = report_of(
        judged(record(number, ours={"output": evil, "answered_by": "<b>\x1b[2J"}) for number in range(40))
    )
    page = render_shadow(report)
    assert "<script" not in page
    assert "&lt;script&gt;" in page
    assert "<b>\x1b" not in page
    assert "\x1b" not in "\n".join(console_lines(report))


def test_every_scorer_that_needs_labels_says_so():
    """A scorer without the mark that scores nothing would leave its metric unscored in every shadow report."""
    bare = Case(id="bare", inputs=record(1).inputs)
    result = TaskResult(output=GOOD, arm="primary", model="m", answered_by="m", latency_ms=1.0)
    for scorer in SUITE.scorers:
        scores = score_one((scorer,), "summarize", bare, result)
        scored = [score.value is not None for score in scores.values()]
        assert all(scored) if not getattr(scorer, "needs_labels", False) else not any(scored), scorer.name
