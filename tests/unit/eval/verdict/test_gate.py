import datetime as dt
from dataclasses import replace

import pytest
from builders import make_part

from eval.spine.results import CaseResult, GateResult, InterimLook, Verdict
from eval.spine.suite import Floor, JudgedKind, MetricSpec, NoWorse, SliceFloor, Suite
from eval.verdict.gate import GateFigures, GateRules, Judgement, answers_vary, decide
from eval.verdict.kinds.kind import Latencies
from figures.metric import Metric, Unit
from service.core.llm.pricing import Usage
from service.core.run.task import TaskResult
from service.core.tools.use import TracedStep
from service.core.unit.cards import ModelCard, ModelCards, Prices
from service.core.unit.pair import OutputRules, Pair, PromptMessage, Sampling, ServingPolicy

TODAY = dt.date(2026, 11, 21)
PRICES = Prices(input=1, output=1, source="test", date=TODAY)
SUITE = Suite(
    task="summarize",
    gate_dataset="dev",
    scorers=(),
    metrics=(
        MetricSpec(name="quality", kind="mean", score="quality", unit=Unit.RATE),
        MetricSpec(name="speed", kind="latency", unit=Unit.MS, higher_is_better=False),
    ),
    floors=(Floor(metric="quality", bound=0.8, reason="r"), Floor(metric="speed", bound=5000, reason="r")),
    no_worse=(NoWorse(metric="quality", margin=0.05, reason="r"),),
    judged_only=(),
    max_unscored_rate=0.1,
    minimum_latency_calls=20,
)


def card(model="m", **changes):
    fields = {
        "id": f"mmm-{model}",
        "short_name": model * 2,
        "wire": "bedrock",
        "runs": "provider",
        "context_tokens": 9,
        "prices": PRICES,
    }
    return ModelCard(**fields | changes)


CARD = card()


def pair(**changes):
    fields = {
        "name": "p",
        "task": "summarize",
        "version": "1",
        "model": "mmm-m",
        "backup": None,
        "sampling": Sampling(max_output_tokens=9),
        "output": OutputRules(schema="s", max_words=9),
        "serving": ServingPolicy(),
        "messages": (PromptMessage(role="system", content="x"), PromptMessage(role="user", content="y")),
        "variables": (),
    }
    return Pair(**fields | changes)


def metric(name, value, low, high, *, n=40, unit=Unit.RATE, higher=True, unscored=0, note=""):
    return Metric(
        name=name,
        unit=unit,
        higher_is_better=higher,
        value=value,
        low=low,
        high=high,
        n=n,
        unscored=unscored,
        note=note,
    )


GOOD = {
    "quality": metric("quality", 0.9, 0.85, 0.95),
    "speed": metric("speed", 900.0, 800.0, 999.0, unit=Unit.MS, higher=False),
}


def gate(
    the_pair=None,
    *,
    suite=SUITE,
    metrics=None,
    backup=None,
    cards=(CARD,),
    results=(),
    deltas=None,
    slices=None,
    baseline=None,
    looked_at=frozenset(),
):
    figures = GateFigures(metrics=metrics or GOOD, backup=backup or {}, deltas=deltas or {}, slices=slices or {})
    judgement = Judgement(
        pair=the_pair or pair(),
        answers=results,
        figures=figures,
        dataset_digest="d",
        baseline_digest=baseline,
        looked_at=looked_at,
    )
    return decide(judgement, GateRules(suite=suite, cards=ModelCards(list(cards)), today=TODAY))


def verdict_of(result, name):
    return next(check.verdict for check in result.checks if check.name == name)


def test_good_metrics_pass():
    assert gate().verdict is Verdict.PASS


@pytest.mark.parametrize(
    ("low", "high", "verdict"),
    [
        (0.80, 0.95, Verdict.PASS),  # at the bound
        (0.81, 0.95, Verdict.PASS),
        (0.79, 0.95, Verdict.INCONCLUSIVE),
        (0.70, 0.80, Verdict.INCONCLUSIVE),
        (0.70, 0.79, Verdict.FAIL),
    ],
)
def test_a_floor_at_above_and_below_the_bound(low, high, verdict):
    result = gate(metrics=GOOD | {"quality": metric("quality", (low + high) / 2, low, high)})
    assert verdict_of(result, "quality") is result.verdict is verdict


@pytest.mark.parametrize(
    ("low", "high", "verdict"),
    [(100, 5000, Verdict.PASS), (4000, 5001, Verdict.INCONCLUSIVE), (5001, 9000, Verdict.FAIL)],
)
def test_lower_is_better_is_judged_from_the_other_side(low, high, verdict):
    result = gate(metrics=GOOD | {"speed": metric("speed", low + 1.0, low, high, unit=Unit.MS, higher=False)})
    assert verdict_of(result, "speed") is verdict


def test_too_few_live_calls_are_no_latency_evidence():
    result = gate(metrics=GOOD | {"speed": replace(GOOD["speed"], n=19)})
    assert result.verdict is Verdict.INCONCLUSIVE
    assert "--fresh" in result.checks[-1].explanation


def test_nothing_scored_is_inconclusive_and_much_unscored_fails():
    assert gate(metrics=GOOD | {"quality": metric("quality", None, None, None, n=0)}).verdict is Verdict.INCONCLUSIVE
    mostly = gate(metrics=GOOD | {"quality": replace(GOOD["quality"], n=35, unscored=5)})
    assert verdict_of(mostly, "quality") is Verdict.FAIL
    assert "5 of 40 cases could not be scored" in mostly.checks[1].explanation


def test_a_bad_backup_fails_the_pair():
    result = gate(pair(backup="mmm-m"), backup=GOOD | {"quality": metric("quality", 0.1, 0.05, 0.2)})
    assert verdict_of(result, "backup quality") is result.verdict is Verdict.FAIL


@pytest.mark.parametrize(
    ("low", "high", "verdict"),
    [
        (-0.049, 0.01, Verdict.PASS),
        (-0.051, 0.01, Verdict.INCONCLUSIVE),
        (-0.05, 0.01, Verdict.INCONCLUSIVE),
        (-0.20, -0.051, Verdict.FAIL),
    ],
)
def test_no_worse_than_production(low, high, verdict):
    result = gate(deltas={"quality": metric("quality", (low + high) / 2, low, high)}, baseline="other")
    check = result.checks[-1]
    assert (check.kind, check.verdict, result.verdict) == ("no_worse", verdict, verdict)


def test_without_production_floors_alone_decide():
    assert {check.kind for check in gate().checks} == {"requirement", "floor"}
    assert {check.kind for check in gate(baseline=pair().digest).checks} == {"requirement", "floor"}


def test_an_unpriced_or_ended_model_cannot_pass():
    assert gate(cards=[card(prices=None)]).verdict is Verdict.FAIL
    assert gate(cards=[card(end_of_life=TODAY)]).verdict is Verdict.FAIL
    assert gate(cards=[card(end_of_life=TODAY + dt.timedelta(days=1))]).verdict is Verdict.PASS
    with_part = pair(parts=(make_part(model="mmm-b"),))
    assert gate(with_part, cards=[card(), card("b", prices=None)]).verdict is Verdict.FAIL
    ended_backup = gate(pair(backup="mmm-b"), cards=[card(), card("b", end_of_life=TODAY)])
    assert "end of life" in next(c.explanation for c in ended_backup.checks if c.verdict is Verdict.FAIL)


def _call(usage):
    result = TaskResult(output="x", arm="primary", model="mmm-m", answered_by="m", latency_ms=1.0, usage=usage)
    return CaseResult(case_id="c", arm="primary", repeat=0, result=result, live=True)


def test_a_prefix_that_was_never_cached_fails():
    asked = pair(cache_prefix=True)
    short = gate(asked, results=[_call(Usage(input_tokens=900))], cards=[card(cache_minimum_tokens=1000)])
    assert short.verdict is Verdict.FAIL
    assert any("its minimum is 1000 tokens" in check.explanation for check in short.checks)
    assert gate(asked, results=[_call(Usage(input_tokens=9, cache_write_tokens=1200))]).verdict is Verdict.PASS


def test_a_prefix_of_a_part_that_was_never_cached_fails_whatever_the_main_prompt_cached():
    asked = pair(parts=(make_part(model="mmm-b", cache_prefix=True),))
    main = TracedStep(
        kind="model", name="main", status="end_turn", ms=1, usage=Usage(input_tokens=9, cache_read_tokens=1200)
    )

    def checks(usage):
        steps = (main, replace(main, name="judge", usage=usage))
        answer = _call(sum((step.usage for step in steps), Usage()))
        answer = replace(answer, result=replace(answer.result, trace=steps))
        return gate(asked, results=[answer], cards=[card(), card("b")]).checks

    (failed,) = [check for check in checks(Usage(input_tokens=900)) if check.verdict is Verdict.FAIL]
    assert failed.name == "primary prefix of judge can be cached"
    assert {check.verdict for check in checks(Usage(input_tokens=9, cache_write_tokens=900))} == {Verdict.PASS}


def test_a_gate_without_checks_fails():
    empty = GateResult(
        pair_name="p", pair_digest="d", dataset_digest="d", suite_digest="s", baseline_digest=None, checks=()
    )
    assert empty.verdict is Verdict.FAIL


def test_a_gate_on_an_unknown_metric_is_a_mistake():
    with pytest.raises(KeyError, match="not one of its metrics"):
        SUITE.metric("charm")


def test_the_suite_digest_sees_a_moved_bound():
    moved = replace(SUITE, floors=(Floor(metric="quality", bound=0.79, reason="r"), SUITE.floors[1]))
    assert moved.digest != SUITE.digest


JUDGED = replace(
    SUITE,
    judged_only=tuple(JudgedKind(name=name, description=f"{name} harms") for name in ("negation", "mood", "roles")),
)


def test_what_no_judge_looked_at_is_unseen_in_the_suites_order():
    assert (gate(suite=JUDGED).unseen, gate(suite=JUDGED).looked_at) == (("negation", "mood", "roles"), ())
    some = gate(suite=JUDGED, looked_at=frozenset({"roles", "mood", "a kind of another suite"}))
    assert (some.verdict, some.unseen, some.looked_at) == (Verdict.PASS, ("negation",), ("mood", "roles"))
    assert some.headline == "pass; no judge model looked at negation"
    assert gate(suite=JUDGED, looked_at=frozenset(some.looked_at + some.unseen)).headline == "pass"
    assert gate().headline == "pass"  # its suite declares that its code sees every harm


def test_the_suite_digest_sees_a_kind_left_out_or_described_otherwise():
    fewer = replace(JUDGED, judged_only=JUDGED.judged_only[:2])
    other = replace(JUDGED, judged_only=(*JUDGED.judged_only[:2], JudgedKind(name="roles", description="other")))
    assert len({SUITE.digest, JUDGED.digest, fewer.digest, other.digest}) == 4


SLICE = SliceFloor(slice="hard", metric="quality", bound=0.7, min_n=30, reason="r")


def test_a_slice_gates_from_its_size_on_and_is_only_shown_below():
    bad = metric("quality", 0.4, 0.3, 0.5, n=30)
    result = gate(slices={SLICE: bad})
    assert (result.verdict, result.checks[-1].kind, result.checks[-1].slice) == (Verdict.FAIL, "slice", "hard")
    small = gate(slices={SLICE: replace(bad, n=29)})
    assert (small.verdict, [check.slice for check in small.small_slices]) == (Verdict.PASS, ["hard"])
    assert small.small_slices[0].explanation == "small: 29 cases, gates from 30"


def test_an_undecided_check_names_the_cases_that_would_decide_it():
    floor = gate(metrics=GOOD | {"quality": metric("quality", 0.85, 0.75, 0.95, n=40)}).checks[1]
    assert floor.metric.needed_n in (160, 161)  # the interval reaches twice as far as the bound is away
    assert f"40 cases are too few; about {floor.metric.needed_n} decide" in floor.explanation
    assert "do not vary, so repeats cannot help" in floor.explanation
    delta = replace(metric("quality", 0.0, -0.09, 0.09, n=40), mde=0.12, needed_n=230, p_value=1.0, test="t")
    check = gate(deltas={"quality": delta}, baseline="other").checks[-1]
    assert (check.verdict, check.metric.needed_n, check.metric.mde, check.metric.p_value) == (
        Verdict.INCONCLUSIVE,
        230,
        0.12,
        1.0,
    )
    assert "about 230 a pair that equals production passes four times in five" in check.explanation
    enough = gate(deltas={"quality": replace(delta, n=300)}, baseline="other").checks[-1]
    assert "this one may be worse" in enough.explanation


def test_all_of_forty_cases_need_as_many_as_wilson_says():
    # 40 of 40: Wilson starts at 0.912; 35 cases of 35 start above 0.90, 73 of 73 at 0.95.
    all_good = metric("quality", 1.0, 0.9124, 1.0, n=40)
    suite = replace(SUITE, floors=(Floor(metric="quality", bound=0.95, reason="r"),), no_worse=())
    result = gate(suite=suite, metrics={"quality": all_good})
    assert result.checks[-1].metric.needed_n in (73, 74)


def test_repeats_are_advised_only_where_answers_vary():
    warm = pair(sampling=Sampling(max_output_tokens=9, temperature=0.4))
    undecided = GOOD | {"quality": metric("quality", 0.85, 0.75, 0.95, n=40)}
    assert "repeats may help" in gate(warm, metrics=undecided).checks[1].explanation
    assert answers_vary(warm, ModelCards([CARD]))
    assert not answers_vary(warm, ModelCards([card(wire="in_process")]))
    assert not answers_vary(pair(), ModelCards([CARD]))
    part = make_part(model="mmm-b", sampling=Sampling(max_output_tokens=9, temperature=0.4))
    assert answers_vary(pair(parts=(part,)), ModelCards([CARD, card("b")]))


def test_an_incomparable_metric_passes_only_with_a_floor():
    free = replace(metric("quality", None, None, None, n=0), note="not compared: free", comparable=False)
    assert gate(deltas={"quality": free}, baseline="other").verdict is Verdict.PASS
    bare = replace(SUITE, floors=())
    result = gate(suite=bare, deltas={"quality": free}, baseline="other")
    assert result.verdict is Verdict.INCONCLUSIVE
    assert result.checks[-1].explanation == "not compared: free; give it a floor in the suite"
    missing = replace(free, comparable=True, note="not compared: run with --fresh")
    check = gate(deltas={"quality": missing}, baseline="other").checks[-1]
    assert (check.verdict, check.explanation) == (Verdict.INCONCLUSIVE, "not compared: run with --fresh")


def test_the_advice_to_bound_a_latency_is_a_ceiling_in_its_unit():
    suite = replace(SUITE, floors=SUITE.floors[:1], no_worse=(NoWorse(metric="speed", margin=0.2, reason="r"),))
    free = replace(metric("speed", None, None, None, n=0), note="not compared: no calls", comparable=False)
    check = gate(suite=suite, deltas={"speed": free}, baseline="other").checks[-1]
    assert check.explanation == (
        "not compared: no calls; say in the suite how much it may be, since lower is better: "
        "Floor(metric='speed', bound=<the most that you accept in ms>, reason=...)"
    )


def test_planned_looks_share_the_error_of_one():
    assert InterimLook().confidence == 0.95
    assert InterimLook(planned=4).confidence == pytest.approx(0.9875)


def test_the_suite_digest_sees_a_slice_floor():
    assert replace(SUITE, slice_floors=(SLICE,)).digest != SUITE.digest


def test_a_latency_that_the_machine_has_made_fails_nothing():
    own = Latencies(by_case={"a": [3000.0]}, on_time={}, measured_in=None, lag_share=0.6).starved
    bound = next(floor.bound for floor in SUITE.floors if floor.metric == "speed")
    slow = replace(GOOD["speed"], low=0.0, high=bound + 1, method=own)
    assert verdict_of(gate(metrics=GOOD | {"speed": replace(slow, high=bound)}), "speed") is Verdict.PASS
    result = gate(metrics=GOOD | {"speed": slow})
    assert result.verdict is verdict_of(result, "speed") is Verdict.INCONCLUSIVE
    assert result.checks[-1].explanation.startswith("this machine was short of CPU: 60% of the time")
    assert result.short_of_cpu
    bad = gate(metrics=GOOD | {"quality": metric("quality", 0.1, 0.05, 0.2)})
    assert not bad.short_of_cpu
    assert not gate(metrics=GOOD).short_of_cpu
