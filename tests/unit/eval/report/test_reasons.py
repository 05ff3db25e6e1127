"""Checks that fail for one reason are told together, and each reason once."""

from dataclasses import replace

from tiny_evaluation import CASES, SUITE, answer, make_pair, metric, tiny_evaluation

from eval.report.console import open_console, render_evaluation
from eval.report.page import render_html, render_markdown
from eval.report.reasons import check_groups, failed_answers, with_cause
from eval.spine.results import Check, Verdict
from eval.spine.suite import MetricSpec
from figures.metric import Unit
from service.kit.frame.errors import FailureCode

INVALID = FailureCode.OUTPUT_INVALID
NAMES = ("chrf", "grounded", "fact_coverage", "forbidden_clear")


def check(name, verdict=Verdict.FAIL, explanation="the whole interval misses the bound", kind="floor", **changes):
    return Check(
        kind=kind,
        metric=metric(name, 0.5, **changes),
        bound=0.8,
        verdict=verdict,
        reason=f"why {name}",
        explanation=explanation,
    )


def broken(*more):
    """Five of twelve answers are invalid, so that no score is known for enough cases."""
    results = [answer(number, failure=INVALID if number < 5 else None) for number in range(12)]
    checks = [
        check(name, explanation="5 of 12 cases could not be scored (bound 15%)", n=7, unscored=5) for name in NAMES
    ]
    pair = make_pair("broken", Verdict.FAIL, 0.5, results)
    return replace(pair, gate=replace(pair.gate, checks=(*checks, *more)))


def test_invalid_answers_are_said_once_for_all_the_checks_that_they_cost():
    suite = replace(SUITE, metrics=(*SUITE.metrics, MetricSpec(name="answered", kind="answered", unit=Unit.RATE)))
    answered = replace(check("grounded"), metric=replace(metric("grounded", 0.58), name="answered"))
    (group,) = check_groups(broken(answered), suite)
    assert group.reason == "5 of 12 answers were invalid"
    assert [item.name for item in group.checks] == [*NAMES, "answered"]
    assert group.lines[0] == "FAIL 5 checks: 5 of 12 answers were invalid"
    assert group.lines[1] == "chrf 0.5 [0.5, 0.6], needs at least 0.8"


def test_other_checks_keep_their_own_reason():
    groups = check_groups(broken(check("latency_p95"), check("cost_cold", Verdict.INCONCLUSIVE, "no case")), SUITE)
    assert [(group.verdict, group.reason, len(group.checks)) for group in groups] == [
        (Verdict.FAIL, "5 of 12 answers were invalid", 4),
        (Verdict.FAIL, "the whole interval misses the bound", 1),
        (Verdict.INCONCLUSIVE, "no case", 1),
    ]


def test_scores_that_productions_failures_cost_are_not_put_down_to_the_candidate():
    pair = broken()
    one = [answer(0, failure=INVALID), *(answer(number) for number in range(1, 12))]
    text = "not worse than production; 9 cases lack a score for one of the pairs"
    checks = [check(name, Verdict.INCONCLUSIVE, text, kind="no_worse", n=3, unscored=9) for name in NAMES]
    pair = replace(pair, cases=tuple(one), gate=replace(pair.gate, checks=tuple(checks)))
    (group,) = check_groups(pair, SUITE)
    assert group.reason == text
    assert with_cause(pair, SUITE, "why") == "why"
    assert with_cause(broken(), SUITE, "4 of 4 checks fail") == "5 of 12 answers were invalid, so 4 of 4 checks fail"


def test_a_common_reason_is_said_once_and_what_differs_stays_with_its_check():
    texts = [f"the interval spans the bound: {n} cases are too few" for n in (12, 7)]
    pair = make_pair("open", Verdict.INCONCLUSIVE, 0.8, [answer(number) for number in range(12)])
    checks = tuple(
        check(name, Verdict.INCONCLUSIVE, text) for name, text in zip(("chrf", "grounded"), texts, strict=True)
    )
    (group,) = check_groups(replace(pair, gate=replace(pair.gate, checks=checks)), SUITE)
    assert group.reason == "the interval spans the bound"
    assert group.details == ("12 cases are too few", "7 cases are too few")


def test_failed_answers_are_counted_by_what_they_have_in_common():
    good, bad = answer(0), answer(1, failure=INVALID)
    assert failed_answers([good]) == ""
    assert failed_answers([good, bad]) == "1 of 2 answers was invalid"
    assert failed_answers([bad, bad]) == "2 of 2 answers were invalid"
    mixed = [bad, answer(2, failure=FailureCode.DEADLINE), good]
    assert failed_answers(mixed) == "2 of 3 answers failed (OUTPUT_INVALID 1, DEADLINE 1)"


def test_every_form_of_the_report_says_the_reason_once(capsys):
    evaluation = replace(tiny_evaluation(), pairs=(broken(),))
    page, markdown = render_html(evaluation, SUITE, CASES), render_markdown(evaluation, SUITE)
    render_evaluation(evaluation, SUITE, open_console())
    console = capsys.readouterr().out
    for text in (page, markdown, console):
        assert "could not be scored" not in text
        assert text.count("5 of 12 answers were invalid") <= 2  # the summary and the list of checks
        assert "5 of 12 answers were invalid" in text


def test_reasons_with_other_figures_keep_theirs():
    texts = [f"{n} of 12 cases were called live" for n in (3, 4)]
    pair = make_pair("open", Verdict.INCONCLUSIVE, 0.8, [answer(number) for number in range(12)])
    checks = tuple(
        check(name, Verdict.INCONCLUSIVE, text) for name, text in zip(("chrf", "grounded"), texts, strict=True)
    )
    groups = check_groups(replace(pair, gate=replace(pair.gate, checks=checks)), SUITE)
    assert [group.reason for group in groups] == texts
