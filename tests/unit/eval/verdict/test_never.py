"""What must not happen: exact bounds against scipy, unscored cases, the gate, slices, production, and how it is printed."""

import datetime as dt
from dataclasses import replace

import pytest
from builders import make_pair
from hypothesis import given
from hypothesis import strategies as st
from pool_answers import FAILED, cases_labelled, scored
from scipy.stats import binomtest

from eval.report.conclusions import check_line, small_slice_text
from eval.spine.results import InterimLook, Verdict
from eval.spine.suite import Floor, MetricSpec, NoWorse, SliceFloor, Suite
from eval.verdict.deltas import build_deltas
from eval.verdict.gate import GateFigures, GateRules, Judgement, decide
from eval.verdict.metrics import build_metrics, build_slice_metrics
from eval.verdict.pools import PassHat, ScoreReaches
from figures.formatting import format_metric
from figures.metric import Unit
from figures.stats import cases_for_events, events_interval
from service.core.unit.cards import ModelCard, ModelCards
from service.kit.frame.errors import ConfigurationError

NEVER = MetricSpec(name="not_permitted", kind="never", score="right", unit=Unit.EVENTS, higher_is_better=False)
SUITE = Suite(
    task="summarize",
    gate_dataset="dev",
    scorers=(),
    pools={"pass_2": PassHat(k=2, right=ScoreReaches("right"))},
    metrics=(NEVER, MetricSpec(name="pass_2", kind="pooled", score="pass_2", unit=Unit.RATE)),
    floors=(Floor(metric="not_permitted", bound=0.02, reason="r"),),
    no_worse=(NoWorse(metric="not_permitted", margin=0.01, reason="r"),),
    judged_only=(),
    max_unscored_rate=0.02,
    minimum_latency_calls=1,
    slice_floors=(
        SliceFloor(slice="class", value="bill", metric="not_permitted", bound=0.05, min_n=60, reason="r"),
        SliceFloor(slice="class", value="move", metric="pass_2", bound=0.5, min_n=60, reason="r"),
    ),
)
CASES = cases_labelled(["bill" if n % 2 else "move" for n in range(400)])


def measured(events, **options):
    return build_metrics(SUITE, CASES, scored(events), deadline_ms=1, **options)["not_permitted"]


@given(st.integers(0, 300), st.integers(1, 300), st.sampled_from([0.95, 0.9875]))
def test_the_bounds_are_scipys_exact_one_sided_ones(events, n, confidence):
    events = min(events, n)
    found = events_interval(events, n, confidence=confidence)
    exact = {
        side: binomtest(events, n, alternative=side).proportion_ci(confidence, "exact") for side in ("less", "greater")
    }
    assert found.high == pytest.approx(exact["less"].high, abs=1e-9)
    assert found.low == pytest.approx(exact["greater"].low, abs=1e-9)


def test_no_event_in_149_cases_is_at_most_two_percent():
    metric = measured([[0]] * 149)
    assert (metric.value, metric.low, metric.n) == (0.0, 0.0, 149)
    assert metric.high == pytest.approx(1 - 0.05 ** (1 / 149))
    assert format_metric(metric) == "0 of 149: at most 2.0%"
    assert format_metric(measured([[0]] * 150 + [[2], [1], [1]])) == "3 of 153: at most 5.0%"


def test_more_looks_make_the_bound_wider():
    assert measured([[0]] * 149, confidence=0.9875).high == pytest.approx(1 - 0.0125 ** (1 / 149))


def test_the_conversation_counts_and_not_the_event_or_the_repeat():
    metric = measured([[0, 3, 1], [0, 0, 0]])
    assert (metric.value, metric.n, metric.between_repeat_sd) == (0.5, 2, None)


def test_a_case_without_event_needs_all_its_repeats_scored():
    metric = measured([[0, 0], [0, None], [0, FAILED], [1, None], ["n/a", "n/a"]])
    assert (metric.value, metric.n, metric.unscored) == (0.5, 2, 2)


def decided(events, look=None, production=None):
    look = look or InterimLook()
    card = ModelCard(id="main", short_name="main", wire="bedrock", runs="local", context_tokens=9)
    answers = scored(events)
    figures = GateFigures(
        metrics=build_metrics(SUITE, CASES, answers, deadline_ms=1, confidence=look.confidence),
        slices=build_slice_metrics(SUITE, CASES, answers, deadline_ms=1, confidence=look.confidence),
        deltas={} if production is None else build_deltas(SUITE, CASES, answers, scored(production)),
    )
    judgement = Judgement(
        pair=make_pair("summarize", asked="x", model="main"),
        answers=answers,
        figures=figures,
        dataset_digest="d",
        baseline_digest=None if production is None else "other",
        look=look,
    )
    return decide(judgement, GateRules(suite=SUITE, cards=ModelCards([card]), today=dt.date(2026, 11, 22)))


@pytest.mark.parametrize(
    ("events", "looks", "verdict"),
    [
        ([[0]] * 149, 1, Verdict.PASS),  # 1.99%
        ([[0]] * 148, 1, Verdict.INCONCLUSIVE),  # 2.004%
        ([[0]] * 149, 4, Verdict.INCONCLUSIVE),
        ([[0]] * 142 + [[1]] * 7, 1, Verdict.FAIL),  # at least 2.2%
        ([[0]] * 143 + [[1]] * 6, 1, Verdict.FAIL),  # 4%: more often than allowed, though at least 1.8% only
        ([[0]] * 147 + [[1]] * 2, 1, Verdict.INCONCLUSIVE),  # 1.3%, at most 4.2%
        ([[0]] * 300 + [[None]] * 7, 1, Verdict.FAIL),  # 7 of 307 could not be scored
        ([[None]] * 300, 1, Verdict.INCONCLUSIVE),
    ],
)
def test_the_gate_asks_for_the_bound(events, looks, verdict):
    floor = decided(events, InterimLook(planned=looks)).check("floor", "not_permitted")
    assert floor.verdict is verdict


def test_the_gate_says_how_many_cases_would_do():
    floor = decided([[0]] * 100).check("floor", "not_permitted")
    assert floor.metric.needed_n == 149
    assert check_line(floor).startswith(
        "INCONCLUSIVE not_permitted 0 of 100: at most 3.0%, needs at most 2.0%: the interval spans the bound: 100 cases are "
        "too few; about 149 decide if the figure stays"
    )
    assert cases_for_events(0.02, 0.02) is None
    above = cases_for_events(0.05, 0.02)
    assert events_interval(0.05 * above, above).low > 0.02 >= events_interval(0.05 * (above - 1), above - 1).low


def test_a_failed_check_says_how_often_it_happens_at_least():
    failed = decided([[0]] * 142 + [[1]] * 7).check("floor", "not_permitted")
    assert check_line(failed) == (
        "FAIL not_permitted 7 of 149: at least 2.2%, needs at most 2.0%: it happened more often than the bound allows"
    )


def test_slices_gate_by_their_own_cases_for_events_and_for_pooled_figures():
    # Odd cases are of the class "bill": no event; even ones "move": right once in two tries.
    result = decided([[0, 0] if n % 2 else [1, 0] for n in range(160)])
    found = {check.slice: (check.name, check.verdict, check.metric.n) for check in result.checks if check.slice}
    assert found == {
        "class=bill": ("not_permitted", Verdict.PASS, 80),
        "class=move": ("pass_2", Verdict.FAIL, 80),
    }
    small = decided([[0, 0]] * 118).small_slices
    assert [small_slice_text(check) for check in small] == [
        "not_permitted in class=bill 0 of 59: at most 4.95% (59 cases, gates from 60)",
        "pass_2 in class=move 0.00 [0.00, 0.06] (59 cases, gates from 60)",
    ]


def test_a_slice_whose_answers_cannot_be_scored_is_not_small():
    result = decided([[None, 0] if n % 2 else [1, 1] for n in range(160)])
    assert {check.slice: check.verdict for check in result.checks if check.slice}["class=bill"] is Verdict.INCONCLUSIVE
    assert not result.small_slices


def test_production_is_compared_case_by_case_and_more_events_are_worse():
    none, some = [[0]] * 200, [[0]] * 190 + [[1]] * 10
    worse = decided(some, production=none).check("no_worse", "not_permitted")
    assert (worse.verdict, worse.metric.value, worse.metric.unit) == (Verdict.FAIL, pytest.approx(-0.05), Unit.RATE)
    assert worse.metric.test == "McNemar exact, +10 -0"
    better = decided(none, production=some).check("no_worse", "not_permitted")
    assert (better.verdict, better.metric.value) == (Verdict.PASS, pytest.approx(0.05))


@pytest.mark.parametrize("changes", [{"higher_is_better": True}, {"unit": Unit.RATE}])
def test_a_definition_that_would_let_events_be_good_is_refused(changes):
    spec = MetricSpec(**{"name": "x", "kind": "never", "unit": Unit.EVENTS, "higher_is_better": False} | changes)
    with pytest.raises(
        ConfigurationError, match=r"'x' of task 'summarize' counts what must not happen: give it higher_is_b"
    ):
        replace(SUITE, metrics=(*SUITE.metrics, spec))
