"""What the report shows of pooled figures and of events that must not happen: tables, slices, wording."""

from dataclasses import replace

import pytest
from pool_answers import answers, cases_labelled, label_of, predicted
from tiny_evaluation import bare_gate, bare_suite, tiny_evaluation

from eval.report.page import render_html, render_markdown
from eval.report.view import slice_tables
from eval.spine.suite import MetricSpec, SliceFloor
from eval.verdict.metrics import build_metrics
from eval.verdict.pools import ClassAccuracy, MacroF1
from figures.metric import Unit

READERS = {"label": label_of, "predicted": predicted}
NEVER = MetricSpec(name="harmed", kind="never", score="right", unit=Unit.EVENTS, higher_is_better=False)
SUITE = bare_suite(
    gate_dataset="dev",
    pools={"accuracy": ClassAccuracy(**READERS), "macro_f1": MacroF1(**READERS)},
    metrics=(
        NEVER,
        MetricSpec(name="accuracy", kind="pooled", score="accuracy", unit=Unit.RATE),
        MetricSpec(name="macro_f1", kind="pooled", score="macro_f1", unit=Unit.RATE),
    ),
    max_unscored_rate=0.1,
    minimum_latency_calls=1,
    slices=("class",),
    slice_floors=(SliceFloor(slice="class", value="bill", metric="accuracy", bound=0.5, min_n=2, reason="r"),),
)
CASES = cases_labelled(["bill", "bill", "move", "move"])


@pytest.fixture
def evaluation():
    whole = tiny_evaluation()
    found = tuple(
        answers(
            [["bill", "bill"], ["move", "bill"], ["move", "move"], [None, None]],
            scores=[[0, 0], [0, 2], [0, 0], [0, 0]],
        )
    )
    gate = bare_gate("neat", pair_digest="d")
    pair = replace(
        whole.pairs[0],
        pair_name="neat",
        cases=found,
        gate=gate,
        metrics=build_metrics(SUITE, CASES, found, deadline_ms=1),
        backup_metrics={},
        deltas={},
    )
    return replace(whole, pairs=(pair,), case_count=4)


def test_a_confusion_matrix_stands_once_for_all_figures_that_share_it(evaluation):
    page = render_html(evaluation, SUITE, CASES)
    assert page.count("Cases by their class (rows) and the class answered (columns).") == 1
    assert '<td data-pair="bill">0</td><td data-pair="move">1</td><td data-pair="abstained">1</td></tr>' in page
    assert '<th scope="row">bill</th><td data-pair="bill">1.5</td><td data-pair="move">0.5</td>' in page


def test_events_are_printed_as_a_count_and_its_bound(evaluation):
    assert "1 of 4: at most 75.1%" in render_markdown(evaluation, SUITE)
    assert "1 of 4: at most 75.1%" in render_html(evaluation, SUITE, CASES)


def test_slices_show_events_and_pooled_figures(evaluation):
    tables = {
        spec.name: {row.value: row.cells for row in rows} for spec, rows in slice_tables(evaluation, SUITE, CASES)
    }
    assert tables["harmed"] == {
        "bill": (("1 of 2: at most 97.5%", 2),),
        "move": (("0 of 2: at most 77.6%", 2),),
    }
    assert tables["accuracy"]["bill"][0][0].startswith("0.75 [")
    assert list(tables) == ["harmed", "accuracy"]
