"""Against production: words that came and went, scores that moved, references beside the pairs, JUnit, and a huge comment."""

from dataclasses import replace
from xml.etree import ElementTree as ET

import markdown_it
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tiny_evaluation import bare_gate, bare_pair, bare_suite

from eval.report.cases import case_views
from eval.report.changes import changed_lists, word_changes
from eval.report.junit import render_junit
from eval.report.page import MARKDOWN_LIMIT, render_html, render_markdown
from eval.spine.cases import Case, Expectations, Fact
from eval.spine.results import CaseResult, Check, Evaluation, PairResult, Score, Verdict
from eval.spine.suite import MetricSpec
from figures.metric import Metric, Unit
from service.core.run.task import TaskResult
from service.kit.frame.display.inert import visible


class _NoScorer:
    name = "none"
    scores = ("grounded", "fact_coverage")


SUITE = bare_suite(
    scorers=(_NoScorer(),),
    metrics=(
        MetricSpec(name="grounded", kind="rate", score="grounded", unit=Unit.RATE),
        MetricSpec(name="fact_coverage", kind="mean", score="fact_coverage", unit=Unit.RATE),
    ),
    max_unscored_rate=0.1,
)
FACT = Fact(statement="The deposit was returned", accepted=("returned",), interaction_id="i1", span="deposit came back")


def make_case(number: int) -> Case:
    record = {
        "interaction_id": "i1", "channel": "chat", "timestamp": "2026-11-01T08:00:00Z", "intent": "Deposit",
        "text": "the deposit came back, 40 dollars", "outcome": "closed",
    }  # fmt: skip
    inputs = {
        "as_of": "2026-11-20T12:00:00Z",
        "account_number": "6021457738",
        "contact_id": "c",
        "interactions": [record],
    }
    return Case(id=f"tiny-{number}", inputs=inputs, expectations=Expectations(facts=(FACT,)))


def answer(number: int, output: str, coverage: float) -> CaseResult:
    missing = () if coverage else (FACT.statement,)
    return CaseResult(
        case_id=f"tiny-{number}",
        arm="primary",
        repeat=0,
        result=TaskResult(output=output, arm="primary", model="m", answered_by="m", latency_ms=9.0, model_ms=9.0),
        live=True,
        scores={"grounded": Score(value=1.0), "fact_coverage": Score(value=coverage, findings=missing)},
    )


def make_pair(name: str, results: list[CaseResult], checks: tuple[Check, ...] = (), **changes: object) -> PairResult:
    gate = bare_gate(name, checks=checks)
    return bare_pair(gate, **{"pair_version": "1.0.0", "cases": tuple(results)} | changes)


def make_check(verdict: Verdict, explanation: str = "was looked at", metric: str = "grounded") -> Check:
    return Check(
        kind="floor",
        metric=Metric(name=metric, unit=Unit.RATE, higher_is_better=True, value=0.9, low=0.8, high=1.0, n=3),
        bound=0.8,
        verdict=verdict,
        reason="for a reason",
        explanation=explanation,
    )


def make_evaluation(pairs: tuple[PairResult, ...], **changes: object) -> Evaluation:
    fields: dict[str, object] = {
        "run_id": "r1", "task": "summarize", "environment": "local", "started_at": "2026-11-21T04:00:00Z",
        "dataset_name": "tiny", "dataset_digest": "d" * 64, "suite_digest": "s" * 64, "code_version": "c",
        "case_count": 3, "production_name": "current", "production_version": 1, "pairs": pairs, "calls_live": 1,
        "calls_cached": 0, "seconds": 1.0,
    }  # fmt: skip
    return Evaluation(**{**fields, **changes})  # type: ignore[arg-type]


CASES = {case.id: case for case in map(make_case, range(3))}
BEFORE = "The deposit of $40 was returned on May 3."
PRODUCTION = make_pair("current", [answer(number, BEFORE, 1.0) for number in range(3)], is_production=True)
CANDIDATE = make_pair(
    "new",
    [
        answer(0, BEFORE, 1.0),
        answer(1, "The deposit of $45 was returned on May 3.", 1.0),
        answer(2, "Nothing is known.", 0.0),
    ],
)
EVALUATION = make_evaluation((CANDIDATE, PRODUCTION))


def test_word_changes_name_the_swapped_amount_as_one_word() -> None:
    changes, share = word_changes(BEFORE, "The deposit of $45 was returned on May 3.")
    assert [(change.text, change.kind) for change in changes if change.kind] == [("$40", "del"), ("$45", "ins")]
    assert 0.8 < share < 1.0


@given(st.text(max_size=80), st.text(max_size=80))
def test_word_changes_hold_the_whole_new_text(before: str, after: str) -> None:
    after = after.encode("ascii", "ignore").decode()
    changes, share = word_changes(before, after)
    assert "".join(c.text for c in changes if c.kind != "del").split() == visible(after).split()
    assert 0.0 <= share <= 1.0


def test_the_most_changed_cases_start_with_the_largest_loss_and_leave_equal_answers_out() -> None:
    (found,) = changed_lists(EVALUATION, SUITE)
    assert [case_id for case_id, _ in found.lines] == ["tiny-2", "tiny-1"]
    assert (found.pair, found.count, found.total) == ("new", 2, 3)
    assert "fact_coverage 1 → 0" in found.lines[0][1]


def test_a_case_shows_production_first_and_marks_the_passage_of_a_missing_fact() -> None:
    view = next(view for view in case_views(EVALUATION, CASES, SUITE) if view.id == "tiny-2")
    assert [shown.pair for shown in view.answers] == ["current", "new"]
    assert not view.answers[0].changes
    assert view.answers[1].changes
    assert not view.answers[1].readable  # hardly a word in common
    assert [piece.text for piece in view.entries[0].pieces if piece.mark == "missed"] == [FACT.span]
    untouched = next(view for view in case_views(EVALUATION, CASES, SUITE) if view.id == "tiny-0")
    assert [piece.mark for piece in untouched.entries[0].pieces] == [""]


def test_the_page_marks_words_and_shows_the_references() -> None:
    ceiling = Metric(name="grounded", unit=Unit.RATE, higher_is_better=True, value=0.93, low=0.8, high=0.98, n=2)
    pairs = {"new": {"grounded": replace(ceiling, value=0.71, low=0.5, high=0.9)}}
    evaluation = replace(EVALUATION, ceiling={"grounded": ceiling}, like_for_like=pairs)
    page = render_html(evaluation, SUITE, CASES)
    assert "<del>$40</del>" in page
    assert "<ins>$45</ins>" in page
    assert "References against each other" in page
    assert "0.93 [0.80, 0.98]" in page
    assert "0.71 [0.50, 0.90]" in page
    assert "no judge took part" in page
    assert "References against each other" not in render_html(EVALUATION, SUITE, CASES)
    assert "| grounded ↑ | 0.93 [0.80, 0.98] | 0.71 [0.50, 0.90] | – |" in render_markdown(evaluation, SUITE)


def test_junit_has_one_suite_per_pair_and_no_green_for_what_is_undecided() -> None:
    pair = make_pair(
        "new",
        [],
        (
            make_check(Verdict.PASS),
            make_check(Verdict.INCONCLUSIVE, "x < y & 'z' \x1b[31m\ud800"),
            make_check(Verdict.FAIL, metric="plain"),
        ),
    )
    root = ET.fromstring(render_junit(make_evaluation((pair, make_pair("bare", [])))))
    suites = {suite.get("name"): suite for suite in root}
    assert list(suites) == ["summarize/new", "summarize/bare"]
    found = suites["summarize/new"]
    assert (found.get("tests"), found.get("failures")) == ("3", "2")
    assert [failure.get("type") for failure in found.iter("failure")] == ["inconclusive", "fail"]
    assert "x < y & 'z'" in str(next(found.iter("failure")).get("message"))
    assert suites["summarize/bare"].get("failures") == "1"  # a gate without checks fails


@pytest.mark.parametrize("width", [1, 40])
def test_a_huge_comment_is_cut_between_lines_with_a_note(width: int) -> None:
    checks = tuple(
        make_check(Verdict.FAIL, f"<b>{number}</b> | `code` " + "long " * 40) for number in range(4_000 // width)
    )
    pairs = tuple(make_pair(f"pair-{number}", [], checks) for number in range(width))
    evaluation = make_evaluation(pairs, production_name=None)
    text = render_markdown(evaluation, SUITE)
    assert len(text) < MARKDOWN_LIMIT
    assert text.rstrip().endswith("the whole report is report.html.")
    shown = markdown_it.MarkdownIt("commonmark").enable("table").render(text)
    assert shown.count("<table>") == 1
    assert "<b>" not in shown
    assert shown.count("<code>") == 0
    rows = [line for line in text.splitlines() if line.startswith("|")]
    assert len({line.count(" |") for line in rows if not line.startswith("|---")}) == 1


def test_checks_show_p_and_the_smallest_drop_where_the_gate_gives_them() -> None:
    plain = make_check(Verdict.FAIL)
    tested = replace(plain, metric=replace(plain.metric, p_value=0.0371, test="sign test", mde=0.07))
    page = render_html(make_evaluation((make_pair("new", [], (tested, plain)),)), SUITE, CASES)
    assert "0.037 (sign test)" in page
    assert "smallest detectable drop" in page
    without = render_html(make_evaluation((make_pair("new", [], (plain,)),)), SUITE, CASES)
    assert "smallest detectable drop" not in without
