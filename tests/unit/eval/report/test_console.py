"""What an evaluation looks like in a terminal and in a log."""

import io
import re
from dataclasses import replace

import pytest
from rich.console import Console
from tiny_evaluation import bare_evaluation, bare_gate, bare_pair, bare_suite

from eval.report import console as eval_console
from eval.report.changes import beside_production
from eval.report.console import WIDTH_WITHOUT_TERMINAL, render_evaluation, result_console
from eval.report.next_step import NextStep
from eval.report.page import render_html
from eval.spine.results import CaseResult, Check, Evaluation, PairResult, Score, Verdict
from eval.spine.suite import Floor, MetricSpec, NoWorse
from figures.metric import Metric, Unit
from service.core.run.task import TaskResult
from service.kit.frame.errors import FailureCode

SUITE = bare_suite(
    metrics=(
        MetricSpec(name="grounded", kind="rate", score="grounded", unit=Unit.RATE),
        MetricSpec(name="latency_p95", kind="latency", quantile=0.95, unit=Unit.MS, higher_is_better=False),
        MetricSpec(name="cost_cold", kind="cost", score="cold", unit=Unit.USD, higher_is_better=False),
        MetricSpec(name="plain", kind="rate", score="plain", unit=Unit.RATE),
    ),
    floors=(Floor(metric="grounded", bound=0.8, reason="an invented amount is a promise"),),
    no_worse=(NoWorse(metric="grounded", margin=0.05, reason="one case in twenty"),),
    table=("cost_cold", "grounded", "latency_p95"),
)


def metric(name: str, value: float | None, half: float, n: int = 4, note: str = "") -> Metric:
    spec = SUITE.metric(name)
    ends = (None, None) if value is None else (value - half, value + half)
    return Metric(
        name=name, unit=spec.unit, higher_is_better=spec.higher_is_better, value=value, low=ends[0], high=ends[1],
        n=n, note=note,
    )  # fmt: skip


def result(number: int, failure: FailureCode | None = None, finding: str = "") -> CaseResult:
    task_result = TaskResult(
        output=None if failure else "text", arm="primary", model="m", answered_by="m", latency_ms=5.0, failure=failure,
        failure_message="no answer within 5000 ms" if failure else "",
    )  # fmt: skip
    score = (
        Score(value=None, unscored="no answer")
        if failure
        else Score(value=float(not finding), findings=(finding,) * bool(finding))
    )
    return CaseResult(
        case_id=f"tiny-{number:02}", arm="primary", repeat=0, result=task_result, live=True, scores={"grounded": score}
    )


def check(kind: str, verdict: Verdict, bound: float, value: float) -> Check:
    return Check(
        kind=kind,  # type: ignore[arg-type]
        metric=metric("grounded", value, 0.1),
        bound=bound,
        verdict=verdict,
        reason=f"reason of the {kind}",
        explanation=f"explained {kind}",
    )


def pair(name: str, verdict: Verdict = Verdict.PASS, **changes: object) -> PairResult:
    gate = bare_gate(name, baseline_digest="current", checks=(check("floor", verdict, 0.8, 0.7),))
    fields: dict[str, object] = {
        "pair_version": "1.0.0", "model": "amazon.nova-lite-v1:0", "answered_by": ("nova-lite",),
        "cases": tuple(result(number) for number in range(4)),
        "metrics": {
            "grounded": metric("grounded", 0.7, 0.1),
            "latency_p95": metric("latency_p95", 1900.0, 200.0),
            "cost_cold": metric("cost_cold", 0.000214, 0.00001),
        },
    }  # fmt: skip
    return bare_pair(gate, **{**fields, **changes})


def evaluation(*pairs: PairResult, production: str | None = "current") -> Evaluation:
    return bare_evaluation(
        *pairs,
        run_id="20261121T040000-1f2e",
        started_at="2026-11-21T04:00:00Z",
        dataset_digest="616c875d" + "0" * 56,
        suite_digest="s" * 64,
        code_version="3f2a9c1",
        case_count=4,
        production_name=production,
        production_version=None if production is None else 3,
        calls_live=12,
        calls_cached=8,
        seconds=3.0,
        stand_in="Small-1B (bundled)",
    )


def show(shown: Evaluation, width: int = 120, terminal: bool = False) -> str:
    stream = io.StringIO()
    render_evaluation(shown, SUITE, Console(file=stream, width=width, force_terminal=terminal, highlight=False))
    return stream.getvalue()


CURRENT = pair("current", is_production=True)


def test_the_header_names_task_dataset_environment_and_calls() -> None:
    text = show(evaluation(CURRENT))
    assert "summarize on tiny (4 cases, 616c875d) in local: 12 model calls, 8 answers from the cache" in text


def test_pairs_stand_side_by_side_with_metrics_in_the_suites_order() -> None:
    text = show(evaluation(CURRENT, pair("newer")))
    assert re.search(r"current.*newer", text, re.S)
    assert "(production)" in text
    assert (
        text.index("cost_cold ↓") < text.index("grounded ↑") < text.index("latency_p95 ↓") < text.index("answered by")
    )
    assert re.search(r"\$0\.000214 +\$0\.000214", text)
    assert "[1.7, 2.1] s" in text


def test_the_verdicts_stand_first_one_line_a_pair_and_the_worst_cases_last() -> None:
    text = show(evaluation(CURRENT, pair("newer", Verdict.FAIL)))
    rows = re.findall(r"^(current|newer) +(PASS|FAIL) +(\d of \d) +(.*?) *$", text, re.M)
    assert rows == [
        ("current", "PASS", "1 of 1", "the check passes"),
        ("newer", "FAIL", "0 of 1", "1 of 1 check fails: grounded"),
    ]
    order = [
        text.index(part) for part in ("checks passed", "FAIL grounded", "Figures", "Worst cases", "fails the gate")
    ]
    assert order == sorted(order)


def test_n_is_shown_where_it_differs_and_nothing_measured_is_a_dash() -> None:
    odd = {"grounded": metric("grounded", 0.7, 0.1, n=3), "latency_p95": metric("latency_p95", None, 0.0, n=0)}
    text = show(evaluation(CURRENT, pair("odd", metrics=odd)))
    assert "n=3" in text
    assert re.search(r"–\s.*\n.*n=0", text)
    assert "n = 4 unless given" in text


def test_a_latency_of_an_earlier_run_has_a_footnote() -> None:
    noted = {"latency_p95": metric("latency_p95", 1900.0, 200.0, note="measured in run r0; no live calls in this one")}
    text = show(evaluation(pair("cached", metrics=noted)))
    assert "1.9 s †" in text
    assert "† cached, latency_p95: measured in run r0; no live calls in this one." in text


def test_a_stand_in_is_named_with_the_model_that_it_replaces() -> None:
    cases = tuple(
        replace(item, result=replace(item.result, model="amazon.nova-lite-v1:0", answered_by="Small-1B"))
        for item in CURRENT.cases
    )
    text = show(evaluation(CURRENT, pair("borrowed", cases=cases, answered_by=("Small-1B",))))
    assert "Small-1B answered in place of the provider models of borrowed." in text
    assert "NOT amazon.nova-lite-v1:0" in text
    assert "NOT" not in show(evaluation(CURRENT))


def test_the_comparison_shows_differences_and_the_margin() -> None:
    text = show(evaluation(CURRENT, pair("newer", deltas={"grounded": metric("grounded", -0.1, 0.05)})))
    assert "Difference from production (current) on the same cases" in text
    assert re.search(r"grounded +-0\.10\s.*\n-0\.05 +\[-0\.15, -0\.05\]", text)


def test_without_production_the_report_states_that_only_floors_decide() -> None:
    assert "No pair is in production yet, so only the floors decide." in show(evaluation(pair("a"), production=None))


def test_an_open_check_is_one_line_with_figure_bound_and_explanation() -> None:
    checks = (check("floor", Verdict.FAIL, 0.8, 0.6), check("no_worse", Verdict.INCONCLUSIVE, -0.05, -0.1))
    bad = pair("bad")
    bad = replace(bad, gate=replace(bad.gate, checks=checks))
    text = show(evaluation(CURRENT, bad, replace(bad, pair_name="bad-too")))
    assert re.search(r"^bad +FAIL +0 of 2 +1 of 2 checks fails: grounded", text, re.M)
    assert "FAIL grounded 0.60 [0.50, 0.70], needs at least 0.80: explained floor" in text
    assert "INCONCLUSIVE grounded vs production -0.10 [-0.20, 0.00], needs no lower than -0.05" in text
    assert text.rstrip().endswith("None of 2 candidates passes the gate.")


def test_the_worst_cases_are_shown_with_findings_and_failures_by_code() -> None:
    finding = "amount $450 is in no interaction: 'It is $450.'"
    results = (result(0), result(1, finding=finding), result(2, FailureCode.DEADLINE), result(3, FailureCode.DEADLINE))
    text = show(evaluation(CURRENT, pair("bad", cases=results)))
    assert "current: no finding in 4 answers" in text
    assert "bad: 3 of 4 answers have a finding: 2 got no answer, 1 with a false or unsupported statement" in text
    assert "failed: DEADLINE 2" in text
    assert f"tiny-01: {finding}" in text
    assert "2 x " in text


def test_five_pairs_fit_in_100_columns_with_whole_figures() -> None:
    names = ["current", "a-name-that-is-rather-long", "nova-micro", "smollm2-short", "smollm2-structured"]
    deltas = {"grounded": metric("grounded", -0.1, 0.05)}
    text = show(evaluation(CURRENT, *[pair(name, Verdict.FAIL, deltas=deltas) for name in names[1:]]), width=100)
    assert max(len(line) for line in text.splitlines()) <= 100
    assert re.search(r"0\.70( +0\.70){4}", text)
    assert re.search(r"\[0\.60, 0\.80\]( +\[0\.60, 0\.80\]){4}", text)
    assert len(re.findall(r"^[a-z].* FAIL +0 of 1", text, re.M)) == 4


def test_a_log_gets_no_control_characters_and_a_terminal_gets_colour() -> None:
    assert not re.search(r"[^\n\x20-\x7e\u00a0-\U0010ffff]", show(evaluation(CURRENT, pair("bad", Verdict.FAIL))))
    assert "\x1b[" in show(evaluation(CURRENT), terminal=True)


def test_text_of_a_model_can_neither_steer_the_terminal_nor_be_markup() -> None:
    finding = "markup: '\x1b[2J[bold red]gone[/bold red]\r'"
    text = show(evaluation(pair("bad", cases=(result(0, finding=finding),))))
    assert "\x1b" not in text
    assert "\r" not in text
    assert "[bold red]gone[/bold red]" in text


def test_a_stream_that_is_no_terminal_is_120_columns_wide() -> None:
    console = result_console(io.StringIO())
    assert console.width == WIDTH_WITHOUT_TERMINAL == 120
    assert not console.is_terminal


def test_standard_output_is_the_default(capsys: pytest.CaptureFixture[str]) -> None:
    render_evaluation(evaluation(CURRENT), SUITE)
    assert "summarize on tiny" in capsys.readouterr().out


def test_rich_is_imported_only_to_print() -> None:
    at_the_top = [
        name
        for name, value in vars(eval_console).items()
        if (getattr(value, "__module__", "") or "").startswith("rich")
    ]
    assert at_the_top == []


@pytest.mark.parametrize(
    ("verdict", "words"),
    [
        (Verdict.PASS, "no worse than production within the margins"),
        (Verdict.FAIL, "worse than production in grounded"),
        (Verdict.INCONCLUSIVE, "undecided against production in grounded"),
    ],
)
def test_a_candidate_is_compared_with_production_in_one_sentence_before_the_outcome(
    verdict: Verdict, words: str
) -> None:
    new = pair("new")
    new = replace(new, gate=replace(new.gate, checks=(check("no_worse", verdict, -0.05, 0.0),)))
    shown = evaluation(CURRENT, new)
    assert beside_production(CURRENT, shown, SUITE) == ""
    assert show(shown).rstrip().splitlines()[-2] == f"new is {words}; 0 of 4 answers differ."
    steps = (NextStep(do="release it", command="omni promote new"),)
    page = render_html(shown, SUITE, {}, steps=steps)
    assert f"{words[0].upper()}{words[1:]}; 0 of 4 answers differ." in page
    assert "<li>Release it.<code>omni promote new</code></li>" in page
