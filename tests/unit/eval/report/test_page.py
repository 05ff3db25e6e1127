"""The report of a hand-built evaluation: one pair in production, one that fails, one answered by a stand-in."""

import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest
from tiny_evaluation import CASES, SCRIPT, SUITE, answer, floor, interaction, make_pair, metric, tiny_evaluation

from eval.report.cases import case_views
from eval.report.conclusions import replaced_models
from eval.report.page import MARKDOWN_LIMIT, render_html, render_markdown, to_json, write_report
from eval.report.view import cost_rows, slice_tables
from eval.spine.results import Evaluation, Score, Verdict
from figures.formatting import format_number
from figures.metric import Unit
from service.kit.frame.display.inert import visible
from service.kit.frame.errors import FailureCode


@pytest.fixture(scope="module")
def evaluation() -> Evaluation:
    """Twelve cases, three pairs."""
    return tiny_evaluation()


@pytest.fixture(scope="module")
def page(evaluation: Evaluation) -> str:
    """The HTML report."""
    return render_html(evaluation, SUITE, CASES)


class _Reader(HTMLParser):
    """Collects scripts, attributes that load or run something, and the visible text."""

    def __init__(self) -> None:
        super().__init__()
        self.scripts: list[str] = []
        self.loads: list[str] = []
        self.handlers: list[str] = []
        self.ids: list[str] = []
        self.text = ""
        self._inside = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._inside = tag if tag in ("script", "style") else self._inside
        self.loads += [f"{tag} {name}" for name, value in attrs if name in ("src", "srcset", "data", "action")]
        self.loads += [f"{tag} href" for name, value in attrs if name == "href" and not (value or "").startswith("#")]
        self.handlers += [name for name, _ in attrs if name.startswith("on")]
        self.ids += [value or "" for name, value in attrs if name == "id"]

    def handle_endtag(self, tag: str) -> None:
        self._inside = "" if tag == self._inside else self._inside

    def handle_data(self, data: str) -> None:
        if self._inside == "script":
            self.scripts.append(data)
        elif not self._inside:
            self.text += data


def read(page: str) -> _Reader:
    reader = _Reader()
    reader.feed(page)
    reader.text = " ".join(reader.text.split())
    return reader


def test_a_script_in_a_customers_text_stays_text(page: str) -> None:
    found = read(page)
    assert len(found.scripts) == 1
    assert "alert" not in found.scripts[0]
    assert found.text.count(SCRIPT) >= 3  # the interaction, the output, and the rejected answer
    assert not found.handlers
    assert re.search(r"script-src 'sha256-[A-Za-z0-9+/=]{44}'", page)


def test_the_page_loads_nothing(page: str) -> None:
    assert read(page).loads == []
    assert "@import" not in page
    assert "url(" not in page


def test_the_page_says_verdict_and_reason_in_words(page: str) -> None:
    text = read(page).text
    assert "1 of 2 candidates passes the gate: borrowed." in text
    assert "In production: current (registry version 3)." in text
    assert "✗ FAIL" in text
    assert "✓ PASS" in text
    assert "1 of 1 check fails: grounded" in text
    assert "an invented amount is a promise" in text


def test_the_page_shows_figures_with_intervals_notes_and_drawings(page: str) -> None:
    text = read(page).text
    assert "0.60 [0.55, 0.65]" in text
    assert "1.9 s † [1.7, 2.1] s" in text
    assert "† borrowed, latency_p95: measured in run r0" in text
    assert "-0.30 [-0.40, -0.20]" in text
    assert "may lose at most 0.05" in text
    assert 'aria-label="bad-one grounded 0.60 [0.55, 0.65]"' in page


def test_a_stand_in_is_labelled(evaluation: Evaluation, page: str) -> None:
    assert [bool(replaced_models(evaluation, pair)) for pair in evaluation.pairs] == [False, False, True]
    text = read(page).text
    assert "Small-1B (stand-in) answered in place of the provider models of borrowed." in text
    assert "stand-in: Small-1B (stand-in)" in text


def test_the_page_marks_unsupported_values_and_lists_what_is_missing(page: str) -> None:
    assert '<mark class="fault">' in page
    text = read(page).text
    assert "amount $450 is in no interaction" in text
    assert "claims 'The refund was promised' by the form" in text
    assert "OUTPUT_INVALID: the answer has 140 words" in text


def test_every_case_is_on_the_page_and_the_worst_comes_first(evaluation: Evaluation, page: str) -> None:
    ids = [value.removeprefix("case-") for value in read(page).ids if value.startswith("case-")]
    assert sorted(ids) == sorted(CASES)
    assert ids[:2] == ["tiny-01", "tiny-00"]  # no answer is worse than a wrong one
    assert len(case_views(evaluation, CASES, SUITE)[0].answers) == 3


def test_an_interaction_outside_the_requests_filter_is_shown_as_unseen(evaluation: Evaluation) -> None:
    entries = case_views(evaluation, CASES, SUITE)[0].entries
    assert [entry.visible for entry in entries] == [False, True]


def test_small_slices_are_marked_small(evaluation: Evaluation, page: str) -> None:
    tables = {spec.name: rows for spec, rows in slice_tables(evaluation, SUITE, CASES)}
    assert list(tables) == ["grounded", "forbidden_clear", "fact_coverage"]
    billing, outage = tables["grounded"]
    assert (billing.value, billing.n_cases, billing.small) == ("billing", 11, False)
    assert (outage.value, outage.n_cases, outage.small) == ("outage", 1, True)
    assert billing.cells[1][1] == 10  # the failed answer has no score
    assert '<tr class="small">' in page


def test_a_slice_is_small_by_the_cases_of_its_figures_and_equal_values_have_an_interval() -> None:
    results = tuple(
        replace(
            answer(number),
            scores=answer(number).scores
            | {
                "fact_coverage": Score(value=1.0)
                if number < 6
                else Score(value=None, unscored="no facts", applies=False)
            },
        )
        for number in range(12)
    )
    shown = replace(tiny_evaluation(), pairs=(replace(tiny_evaluation().pairs[0], cases=results),))
    tables = {spec.name: rows for spec, rows in slice_tables(shown, SUITE, CASES)}
    (coverage, _), (grounded, _) = tables["fact_coverage"], tables["grounded"]
    assert (coverage.n_cases, coverage.cells, coverage.small) == (11, (("1.00 [0.61, 1.00]", 6),), True)
    assert grounded.small is False


def test_measured_cost_is_shown_beside_the_planned_cost(evaluation: Evaluation) -> None:
    row = cost_rows(evaluation, SUITE)[0]
    assert row.cold.startswith("$0.000214 [$0.000193, $0.000235]")
    assert row.cold_month == format_number(0.000214 * 300_000, Unit.USD) == "$64.20"
    assert row.warm_month == "$32.10"
    assert row.stated == "$0.008 to $0.012 (37 to 56 times the metered cold cost)"


def test_provenance_names_all_digests_and_how_a_corpus_figure_is_computed(page: str) -> None:
    text = read(page).text
    for wanted in ("d" * 64, "s" * 64, "bad-one-digest", "3f2a9c1", "20261121T040000-1f2e", "how chrf is computed"):
        assert wanted in text


def test_a_page_without_production_states_that_only_floors_decide(evaluation: Evaluation) -> None:
    pairs = tuple(replace(pair, is_production=False, deltas={}) for pair in evaluation.pairs)
    alone = replace(evaluation, production_name=None, production_version=None, pairs=pairs)
    sentence = "No pair is in production yet, so only the floors decide."
    assert sentence in read(render_html(alone, SUITE, CASES)).text
    assert sentence in render_markdown(alone, SUITE)


def test_an_evaluation_without_figures_has_a_page(evaluation: Evaluation) -> None:
    failed = [answer(number, failure=FailureCode.DEADLINE) for number in range(12)]
    empty = {spec.name: metric(spec.name, None) for spec in SUITE.metrics}
    pair = make_pair("dead", Verdict.INCONCLUSIVE, 0.0, failed, metrics=empty, answered_by=())
    text = read(render_html(replace(evaluation, pairs=(pair,), calls_live=0), SUITE, CASES)).text
    assert "– n=0" in text
    assert "no calls in this run" in text
    assert "dead is undecided" in text


def test_answers_of_code_are_told_apart_from_model_calls(evaluation: Evaluation) -> None:
    computed = replace(evaluation, calls_live=0, calls_cached=0, code_models=("amazon.nova-lite-v1:0",))
    text = read(render_html(computed, SUITE, CASES)).text
    assert "0 model calls, 0 answers from the cache, 36 computed by code." in text
    assert "12 answers computed by code, p50" in text
    assert not re.search(r"[1-9]\d* model call", text)


def test_calls_that_a_stand_in_answered_are_called_that(evaluation: Evaluation) -> None:
    pairs = tuple(
        replace(
            pair,
            origins=("stand-in",),
            cases=tuple(replace(item, result=replace(item.result, origins=("stand-in",))) for item in pair.cases),
        )
        for pair in evaluation.pairs
    )
    text = render_html(replace(evaluation, pairs=pairs, calls_live=36), SUITE, CASES)
    assert "36 stand-in calls, " in text
    assert ", stand-in call · " in text
    assert "12 stand-in calls, p50" in text


def test_a_changed_answer_stands_beside_productions_with_the_differences_marked(page: str) -> None:
    sides = re.findall(r'<div class="sides">(.*?)</details>', page, re.S)
    assert sides
    production, candidate = re.findall(r"<p class=\"output\">(.*?)</p>", sides[0], re.S)
    assert "<del>" in production
    assert "<ins>" not in production
    assert "<ins>" in candidate
    assert "<del>" not in candidate
    assert re.sub(r"<[^>]+>", "", production).split() == "Customer disputes a $45 charge .".split()


def test_each_case_says_how_its_answers_compare_with_productions(page: str) -> None:
    states = dict(re.findall(r'id="case-(tiny-\d+)" data-states="([^"]*)"', page))
    assert states["tiny-00"] == "current=ok=|bad-one=faults=worse|borrowed=ok=equal"
    assert states["tiny-01"].startswith("current=ok=|bad-one=failed=worse")


def test_write_report_leaves_whole_files_only(evaluation: Evaluation, tmp_path: Path) -> None:
    folder = tmp_path / "new" / "run"
    path = write_report(evaluation, SUITE, CASES, folder)
    assert path == folder / "report.html"
    write_report(evaluation, SUITE, CASES, folder)
    assert sorted(item.name for item in folder.iterdir()) == ["junit.xml", "report.html", "report.json", "report.md"]


PLANTED = "odd\x1b]0;owned\x07\u202e\x9b2J\u2028\ud800 \0<b>"


def test_codes_in_names_answers_and_reasons_reach_no_file_of_the_report(evaluation: Evaluation, tmp_path: Path) -> None:
    odd, failed = answer(0, bad=True), answer(1, failure=FailureCode.OUTPUT_INVALID)
    odd = replace(odd, result=replace(odd.result, output=PLANTED, answered_by=PLANTED), scores={
        name: replace(score, findings=(PLANTED,)) for name, score in odd.scores.items()
    })  # fmt: skip
    failed = replace(failed, result=replace(failed.result, failure_message=PLANTED, raw_text=PLANTED))
    check = replace(floor(Verdict.FAIL, 0.6), reason=PLANTED, explanation=PLANTED)
    pair = make_pair(PLANTED, Verdict.FAIL, 0.9, [odd, failed], answered_by=(PLANTED,), pair_version=PLANTED)
    pair = replace(pair, gate=replace(pair.gate, pair_name=PLANTED, checks=(check,)))
    said = [interaction("i1", "2026-11-03T14:12:00Z", PLANTED)]
    case = CASES["tiny-00"].model_copy(
        update={"inputs": {**CASES["tiny-00"].inputs, "account_number": PLANTED, "interactions": said}}
    )
    shown = replace(evaluation, pairs=(pair,), production_name=PLANTED, stand_in=PLANTED, dataset_name=PLANTED)
    write_report(shown, SUITE, {**CASES, "tiny-00": case}, tmp_path)
    for path in tmp_path.iterdir():
        text = path.read_bytes().decode("utf-8")
        assert visible(text) == text, path.name
        assert "u001b]0;owned" in text, path.name
    assert json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))["pairs"][0]["pair_name"] == PLANTED


def test_the_json_report_has_scores_per_case_and_no_customers_text(evaluation: Evaluation, tmp_path: Path) -> None:
    text = write_report(evaluation, SUITE, CASES, tmp_path).with_suffix(".json").read_text(encoding="utf-8")
    data = json.loads(text)
    slices = data.pop("slices")
    assert data == json.loads(json.dumps(to_json(evaluation)))
    assert (len(slices), slices["tiny-00"], slices["tiny-11"]) == (12, {"family": "billing"}, {"family": "outage"})
    bad = data["pairs"][1]
    assert bad["verdict"] == "fail"
    assert bad["metrics"]["grounded"]["low"] == pytest.approx(0.55)
    assert bad["cases"][0]["scores"]["grounded"] == 0.0
    assert bad["cases"][0]["findings"]["grounded"] == 1
    assert bad["cases"][0]["cost"]["metered_usd"] == "0.0000756"
    assert bad["cases"][1]["failure"] == "OUTPUT_INVALID"
    for customer_text in ("script", "$450", "Customer disputes"):
        assert customer_text not in text


def test_the_markdown_report_has_verdict_table_and_failed_checks(evaluation: Evaluation) -> None:
    text = render_markdown(evaluation, SUITE)
    assert text.startswith("# 1 of 2 candidates passes the gate: borrowed.\n")
    assert "| **verdict** | **PASS** | **FAIL** | **PASS** |" in text
    assert "| grounded ↑ | 0.90 [0.85, 0.95] | 0.60 [0.55, 0.65] | 0.95 [0.90, 1.00] |" in text
    assert "| grounded vs production | – | -0.30 [-0.40, -0.20] | +0.05 [+0.01, +0.09] |" in text
    assert "FAIL grounded 0.60 [0.55, 0.65], needs at least 0.80" in text
    assert "Small-1B (stand-in), **not** amazon.nova-lite-v1:0" in text
    assert "no answer: OUTPUT_INVALID 1" in text


def test_the_markdown_report_stays_below_the_limit_and_says_that_it_was_cut(evaluation: Evaluation) -> None:
    bad = evaluation.pairs[1]
    checks = bad.gate.checks * 3_000
    many = replace(evaluation, pairs=(replace(bad, gate=replace(bad.gate, checks=checks)),))
    text = render_markdown(many, SUITE)
    assert len(text) < MARKDOWN_LIMIT
    assert text.endswith("… cut; the whole report is report.html.\n")


def test_a_pairs_name_cannot_break_the_markdown_table(evaluation: Evaluation) -> None:
    odd = replace(evaluation.pairs[1], pair_name="a|b<b>\n[x](y)")
    text = render_markdown(replace(evaluation, pairs=(odd,)), SUITE)
    assert "| | a\\|b&lt;b&gt; [x\\](y) |" in text
