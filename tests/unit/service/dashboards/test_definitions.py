"""The definitions: the three dashboards of R-DASHBOARDS, and the errors of wrong files."""

import re
import textwrap

import pytest

from service.dashboards.definitions import load_dashboards, read_dashboard
from service.kit.frame.errors import ConfigurationError

GOOD = """
    name: cost
    title: T
    question: Q
    fragments: {inner: "pair = :pair", chosen: "WHERE {{inner}}"}
    visuals:
      - {name: one, title: T, question: Q, kind: bars, by: pair, sql: "SELECT pair, n FROM t {{chosen}}",
         measures: [{name: n, label: N, unit: count, column: n}]}
"""


def read(text):
    return read_dashboard(textwrap.dedent(text), "cost")


def test_there_are_three_dashboards_as_required_and_one_of_conversations():
    assert [d.title for d in load_dashboards().values()] == [
        "Summary Effectiveness",
        "Performance Metrics",
        "Cost Analysis",
        "Conversations",
    ]


def test_each_query_is_bounded_by_range_task_and_pair():
    for dashboard in load_dashboards().values():
        for visual in dashboard.visuals:
            bounds = {"from_day", "to_day"} | (set() if visual.across else {"task", "pair"})
            assert set(re.findall(r":([a-z_]+)", visual.sql)) == set(visual.parameters) == bounds, visual.name


def test_a_task_without_contacts_sees_what_concerns_it_in_its_own_words():
    boards = {name: board.of("shout", several=True) for name, board in load_dashboards().items()}
    shown = {visual.name for board in boards.values() for visual in board.visuals}
    assert not shown & {"by_intent", "by_channel"}
    assert {"by_task", "latency_by_task", "total_by_task"} <= shown
    texts = [board.title for board in boards.values()]
    for board in boards.values():
        for visual in board.visuals:
            texts += [visual.title, visual.question, *(measure.label for measure in visual.measures)]
            assert not {"seed_low", "reuse_rate", "transfer_reuse_rate"} & {measure.name for measure in visual.measures}
    assert texts[0] == "Answer Effectiveness"
    assert {"An answer's cost in the range", "Is an answer getting dearer?"} <= set(texts)
    assert not [text for text in texts if "summar" in text.lower()]


def test_a_warehouse_of_summaries_alone_shows_what_is_defined():
    for dashboard in load_dashboards().values():
        shown = dashboard.of("summarize")
        assert shown.visuals == tuple(visual for visual in dashboard.visuals if visual.across is None)
        assert (shown.title, shown.question) == (dashboard.title, dashboard.question)


def test_each_visual_asks_a_question():
    for dashboard in load_dashboards().values():
        for visual in dashboard.visuals:
            assert visual.question.endswith(("?", ".")), visual.name


def test_the_required_targets_belong_to_their_figures():
    found = {
        (measure.name, measure.target.at, measure.target.better)
        for dashboard in load_dashboards().values()
        for visual in dashboard.visuals
        for measure in visual.measures
        if measure.target is not None
    }
    assert found == {
        ("not_helpful_rate", 0.15, "below"),
        ("hallucination_rate", 0.05, "below"),
        ("p95", 5000, "below"),
        ("p99", 8000, "below"),
        ("failover_rate", 0.1, "below"),
        ("transfer_reuse_rate", 0.7, "above"),
    }


def test_fragments_may_hold_fragments():
    assert read(GOOD).visuals[0].sql == "SELECT pair, n FROM t WHERE pair = :pair"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("{{inner}}", "{{other}}"), "there is no fragment 'other'"),
        (("pair = :pair", "{{chosen}}"), "contain each other"),
        (("name: cost", "name: costs"), "has the name 'costs'"),
        (("unit: count", "unit: pounds"), "visuals.0.measures.0.unit"),
        (("column: n}", "column: n, of: [a, b]}"), "either `of` or `column`"),
        (("unit: count, column: n", "unit: ms, of: [a, b]"), "unit is rate or ratio"),
        (("kind: bars, by: pair", "kind: bars"), "`by` is required"),
        (("label: N, unit", "label: N, colour: red, unit"), "colour"),
    ],
)
def test_a_wrong_definition_is_named(change, said):
    with pytest.raises(ConfigurationError, match=re.escape(said)):
        read(GOOD.replace(*change))
