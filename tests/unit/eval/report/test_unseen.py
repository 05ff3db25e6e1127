"""Every report of an evaluation says what nobody looked at, before or beside the verdict."""

import io
import json
import re
from dataclasses import replace
from xml.etree import ElementTree as ET

import pytest
from rich.console import Console
from tiny_evaluation import bare_evaluation, bare_gate, bare_pair, bare_suite

from eval.instruments.sweep.points import sweep_points
from eval.instruments.sweep.report import render_sweep
from eval.report.conclusions import headline
from eval.report.console import render_evaluation
from eval.report.junit import render_junit
from eval.report.page import render_html, render_markdown, to_json
from eval.spine.results import Check, Verdict
from eval.spine.suite import JudgedKind, MetricSpec
from figures.metric import Metric, Unit

KINDS = tuple(
    JudgedKind(name=name, description=f"how {name} harms")
    for name in ("negation", "roles_swapped", "wrong_matter", "cause_changed", "mood_invented")
)
NAMES = tuple(kind.name for kind in KINDS)
SUITE = bare_suite(
    metrics=(MetricSpec(name="grounded", kind="rate", score="grounded", unit=Unit.RATE),), judged_only=KINDS
)
ALL = "no judge model looked at meaning (5 kinds)"
PASS, FAIL, UNDECIDED = Verdict.PASS, Verdict.FAIL, Verdict.INCONCLUSIVE


def pair(name, verdict=PASS, unseen=NAMES):
    grounded = Metric(name="grounded", unit=Unit.RATE, higher_is_better=True, value=0.7, low=0.6, high=0.8, n=12)
    gate = bare_gate(
        name,
        checks=(Check(kind="floor", metric=grounded, bound=0.8, verdict=verdict, reason="r", explanation="e"),),
        unseen=unseen,
        looked_at=tuple(kind for kind in NAMES if kind not in unseen),
    )
    return bare_pair(gate, metrics={"grounded": grounded})


def evaluation(*pairs):
    return bare_evaluation(*pairs, started_at="2026-11-22T04:00:00Z")


def console(*pairs):
    stream = io.StringIO()
    render_evaluation(evaluation(*pairs), SUITE, Console(file=stream, width=160, highlight=False))
    return stream.getvalue()


@pytest.mark.parametrize(
    ("shown", "sentence"),
    [
        (pair("a"), f"a passes the gate for form and figures; {ALL}."),
        (pair("a", unseen=("negation",)), "a passes the gate; no judge model looked at negation."),
        (pair("a", unseen=()), "a passes the gate."),
        (pair("a", FAIL), "a fails the gate. No judge model looked at meaning (5 kinds)."),
        (
            pair("a", UNDECIDED, ("negation",)),
            "a is undecided: there is too little evidence to release it. No judge model looked at negation.",
        ),
    ],
)
def test_one_pairs_outcome_says_it_in_the_same_or_a_second_sentence(shown, sentence):
    assert headline(evaluation(shown)) == sentence


def test_the_outcome_of_several_pairs_says_it_once():
    limit = "No judge model looked at meaning (5 kinds)."
    assert headline(evaluation(pair("a"), pair("b"))) == f"2 of 2 candidates pass the gate: a, b. {limit}"
    assert headline(evaluation(pair("a", FAIL), pair("b", FAIL))) == f"None of 2 candidates passes the gate. {limit}"
    assert headline(evaluation(pair("a", unseen=()), pair("b", unseen=()))).endswith("a, b.")


def test_the_console_says_it_in_table_verdicts_and_last_line():
    text = console(pair("a"), pair("b", FAIL))
    assert re.search(rf"^a +PASS +1 of 1 +for form and figures; {re.escape(ALL)} *\n +the check passes", text, re.M)
    failed = r"^b +FAIL +0 of 1 +1 of 1 check fails: grounded *\n +No judge model looked at meaning \(5 kinds\)"
    assert re.search(failed, text, re.M)
    assert ", ".join(NAMES) in text
    assert text.rstrip().endswith("1 of 2 candidates passes the gate: a. No judge model looked at meaning (5 kinds).")


def test_where_a_judge_looked_at_every_kind_the_verdict_is_plain():
    text = console(pair("a", unseen=()))
    assert re.search(r"^a +PASS +1 of 1 +the check passes", text, re.M)
    assert "obody" not in text
    assert "unseen" not in text


def test_the_page_says_it_in_title_card_and_a_section_with_every_kind():
    page = render_html(evaluation(pair("a")), SUITE, {})
    assert f"<h1>a passes the gate for form and figures; {ALL}.</h1>" in page
    assert page.count(f'<span class="limit">for form and figures; {ALL}') == 2
    for kind in KINDS:
        assert f"<b>{kind.name}</b>: {kind.description}" in page
    plain = render_html(evaluation(pair("a", unseen=())), SUITE, {})
    assert 'id="unseen"' not in plain
    assert 'class="limit"' not in plain


def test_the_pull_requests_comment_says_it_in_title_table_and_reasons():
    text = render_markdown(evaluation(pair("a"), pair("b", FAIL, ("negation",))), SUITE)
    assert text.startswith(
        "# 1 of 2 candidates passes the gate: a. No judge model looked at meaning (5 kinds). No judge model looked at neg"
    )
    assert "| **verdict** | **PASS**, 5 kinds unseen | **FAIL**, 1 kind unseen |" in text
    assert f"- **a: PASS for form and figures; {ALL}.** the check passes" in text
    assert "- **b: FAIL.** 1 of 1 check fails: grounded. No judge model looked at negation" in text
    assert "- mood_invented: how mood_invented harms" in text


def test_junit_counts_an_unseen_kind_as_a_skipped_test():
    root = ET.fromstring(render_junit(evaluation(pair("a", unseen=NAMES[:2]))))
    (suite,) = root
    assert (suite.get("tests"), suite.get("failures"), suite.get("skipped")) == ("3", "0", "2")
    properties = {item.get("name"): item.get("value") for item in suite.iter("property")}
    assert properties["headline"] == "pass; no judge model looked at negation, roles_swapped"
    assert properties["verdict"] == "pass"
    skipped = [case.get("name") for case in suite.iter("testcase") if case.find("skipped") is not None]
    assert skipped == ["judged: negation", "judged: roles_swapped"]


def test_the_json_report_lists_what_was_looked_at_and_what_was_not():
    (found,) = json.loads(json.dumps(to_json(evaluation(pair("a", unseen=NAMES[:1])))))["pairs"]
    assert (found["verdict"], found["headline"]) == ("pass", "pass; no judge model looked at negation")
    assert (found["unseen"], found["looked_at"]) == (["negation"], list(NAMES[1:]))


def test_a_sweep_says_it_of_every_point():
    shown = evaluation(pair("a"), replace(pair("b", FAIL), pair_digest="b"))
    spec = SUITE.metrics[0]
    page = render_sweep(shown, SUITE, spec, sweep_points(shown, SUITE, spec))
    assert f"for form and figures; {ALL}; the check passes" in page
    assert "No judge model looked at meaning (5 kinds); 1 of 1 check fails" in page
