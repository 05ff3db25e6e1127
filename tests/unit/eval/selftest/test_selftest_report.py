import json
from dataclasses import replace

import pytest

from eval.selftest.mutant import MutantPlan
from eval.selftest.mutants.summarize import PLAN
from eval.selftest.report import against_lines, failure_lines, keep, markdown
from eval.selftest.run import DEFAULT_ENGINES, SelftestOptions, engines_of, to_engines
from eval.selftest.trial import EngineReport, SelfComparison, Trial, _against, _answered, _worse_checks
from eval.spine.cases import Case, Expectations
from eval.spine.errors import HarnessError
from eval.spine.results import CaseResult, Check, GateResult, Verdict
from figures.metric import Metric, Unit
from service.core.run.task import TaskResult
from service.kit.frame.errors import FailureCode

CAUGHT = Trial(
    mutant="refusal",
    seed=1,
    verdict=Verdict.FAIL,
    by=("plain",),
    failed=True,
    blamed=("plain", "chrf"),
    changed=9,
    n=10,
)
OWN = SelfComparison(seed=1, same=True, verdict=Verdict.PASS, objections=(), ok=True)
REPORT = EngineReport(
    engine="scripted",
    pair="p",
    dataset="gate",
    cases=10,
    asked=10,
    seeds=(1,),
    trials=(CAUGHT,),
    against=(OWN,),
    seconds=1.0,
)


def check(name, verdict, kind="floor"):
    metric = Metric(name=name, unit=Unit.RATE, higher_is_better=True, value=0.5, low=0.4, high=0.6, n=10)
    return Check(kind=kind, metric=metric, bound=0.9, verdict=verdict, reason="r", explanation="e")


def gate(*checks):
    return GateResult(
        pair_name="p",
        pair_digest="a",
        dataset_digest="b",
        suite_digest="c",
        baseline_digest="d",
        checks=checks,
    )


def test_a_check_is_worse_than_the_same_check_before_and_not_than_another():
    own = gate(check("plain", Verdict.PASS), check("plain", Verdict.FAIL, "no_worse"), check("x", Verdict.INCONCLUSIVE))
    now = gate(check("plain", Verdict.FAIL), check("plain", Verdict.FAIL, "no_worse"), check("x", Verdict.INCONCLUSIVE))
    assert [(c.kind, c.name) for c in _worse_checks(own, now)] == [("floor", "plain")]


def test_a_fault_is_caught_only_when_rejected_for_the_right_reason():
    assert CAUGHT.caught
    assert not replace(CAUGHT, by=()).caught
    assert not replace(CAUGHT, verdict=Verdict.PASS).caught


@pytest.mark.parametrize(
    ("trial", "says"),
    [
        (replace(CAUGHT, by=()), "not for what is wrong; worse are: plain, chrf"),
        (replace(CAUGHT, by=(), blamed=(), verdict=Verdict.PASS), "the verdict is pass"),
        (replace(CAUGHT, by=(), changed=0), "changed no answer"),
    ],
)
def test_an_escaped_fault_is_named_with_the_reason(trial, says):
    report = replace(REPORT, trials=(trial,))
    assert not report.sound
    [line] = failure_lines([report])
    assert "refusal escaped 1 of 1 times" in line
    assert says in line
    assert "broken" in markdown([report], PLAN.mutants, task="summarize", suite_digest="f" * 64)


def test_one_escape_at_one_seed_is_an_escape():
    report = replace(REPORT, seeds=(1, 2), trials=(CAUGHT, replace(CAUGHT, seed=2, by=())))
    assert report.escaped == ("refusal",)


def test_a_blind_spot_is_shown_and_not_counted():
    blind = replace(CAUGHT, mutant="swapped_amounts", by=(), blind=True)
    report = replace(REPORT, trials=(CAUGHT, blind))
    assert report.sound
    page = markdown([report], PLAN.mutants, task="summarize", suite_digest="f" * 64)
    assert "swapped_amounts (blind spot)" in page
    assert "| 0/1 |" in page
    assert not replace(report, trials=(blind,)).sound


def test_nothing_tried_is_no_success():
    assert not replace(REPORT, trials=()).sound
    assert failure_lines([replace(REPORT, trials=())]) == ["scripted: nothing was tried"]
    assert failure_lines([replace(REPORT, against=())]) == ["scripted: nothing was tried"]


def test_the_blind_spots_are_these():
    # Every further one needs a reason that a reviewer accepts: it takes a fault out of the count.
    assert {m.name for m in PLAN.mutants if m.blind} == {"swapped_amounts", "invented_resolution", "lost_negation"}


@pytest.mark.parametrize(
    ("engine", "same", "verdicts", "ok"),
    [
        ("scripted", True, (Verdict.PASS, Verdict.PASS), True),
        ("scripted", True, (Verdict.INCONCLUSIVE, Verdict.PASS), False),
        ("scripted", False, (Verdict.PASS, Verdict.INCONCLUSIVE), True),
        ("scripted", False, (Verdict.PASS, Verdict.FAIL), False),
        ("bundled", True, (Verdict.FAIL, Verdict.PASS), True),
        ("bundled", True, (Verdict.FAIL, Verdict.INCONCLUSIVE), False),
        ("bundled", True, (Verdict.PASS, Verdict.FAIL), False),
    ],
)
def test_wrong_verdicts_on_a_system_against_itself(engine, same, verdicts, ok):
    floor, comparison = verdicts
    result = gate(check("grounded", floor), check("chrf", comparison, "no_worse"))
    assert _against(engine, 1, result, same=same).ok is ok


@pytest.mark.parametrize(
    ("n", "value", "ok"),
    # z^2 / (n + z^2) is 0.0201 at 187 cases and 0.0200 at 189.
    [(187, 0.0, True), (189, 0.0, False), (80, -0.01, False)],
)
def test_the_bundled_model_may_be_unsure_of_itself_only_where_so_few_cases_cannot_tell(n, value, ok):
    unsure = check("leak_free", Verdict.INCONCLUSIVE, "no_worse")
    unsure = replace(unsure, bound=-0.02, metric=replace(unsure.metric, n=n, value=value))
    assert _against("bundled", 1, gate(check("plain", Verdict.PASS, "no_worse"), unsure), same=True).ok is ok


class Answering:
    """Answers every case but those whose number is odd; the model is not asked about case 0."""

    def __init__(self):
        self.asked = []

    def good(self, cases):
        self.asked += [case.id for case in cases]
        results = []
        for case in cases:
            failed = int(case.id) % 2 == 1  # ids are numbers of three digits
            result = TaskResult(
                output=None if failed else "An answer.",
                arm="none" if case.id == "000" else "primary",
                model="m",
                answered_by="m",
                latency_ms=1.0,
                failure=FailureCode.OUTPUT_INVALID if failed else None,
            )
            results.append(CaseResult(case_id=case.id, arm="primary", repeat=0, result=result, live=True))
        return results


def test_cases_are_asked_in_their_order_until_as_many_as_wanted_are_answered_by_the_model():
    cases = [
        Case(id=f"{number:03d}", inputs={}, expectations=Expectations(references=("A reference.",)))
        for number in range(40)
    ]
    session = Answering()
    kept, answers, asked = _answered(session, cases, 10)
    assert [case.id for case in kept] == [f"{number:03d}" for number in range(2, 22, 2)]
    assert [item.case_id for item in answers] == [case.id for case in kept]
    assert session.asked == [f"{number:03d}" for number in range(asked)]
    assert asked < 40
    # Fewer, where there are no more.
    assert len(_answered(Answering(), cases, 30)[0]) == 19


def test_a_false_alarm_is_counted_and_breaks_the_gate():
    alarm = SelfComparison(seed=2, same=True, verdict=Verdict.FAIL, objections=("floor plain: fail",), ok=False)
    report = replace(REPORT, against=(OWN, alarm))
    assert against_lines(report) == ["The good system against itself: 1 false alarms in 2."]
    assert "floor plain: fail" in failure_lines([report])[0]


def test_the_record_keeps_the_engines_that_were_not_run(tmp_path):
    for report in (REPORT, replace(REPORT, engine="extractive")):
        path = keep([report], "page", suite_digest="f" * 64, state_dir=tmp_path, out_dir=tmp_path / "out")
    record = json.loads((tmp_path / "selftest" / f"{'f' * 64}.json").read_text())
    assert set(record["engines"]) == {"scripted", "extractive"}
    assert record["engines"]["scripted"]["catch_rates"] == {"refusal": {"caught": 1, "of": 1}}
    assert path.read_text() == "page"


def test_a_broken_record_is_replaced(tmp_path):
    (tmp_path / "selftest").mkdir()
    (tmp_path / "selftest" / f"{'f' * 64}.json").write_text("{half")
    keep([REPORT], "page", suite_digest="f" * 64, state_dir=tmp_path, out_dir=tmp_path)
    assert json.loads((tmp_path / "selftest" / f"{'f' * 64}.json").read_text())["engines"]


def test_engines_are_named_or_refused():
    assert to_engines(()) == DEFAULT_ENGINES
    assert to_engines(("bundled",)) == ("bundled",)
    with pytest.raises(Exception, match="no engine 'nova'; there are: scripted"):
        to_engines(("nova",))


def test_a_plan_says_which_of_the_default_engines_are_tried_and_another_is_refused():
    plan = MutantPlan(mutants=(), pairs={"scripted": "nova"}, good=str, habits=(), lost="", shown=tuple)
    assert engines_of(plan, SelftestOptions(task="triage")) == ("scripted",)
    assert engines_of(plan, SelftestOptions(task="triage", engines=("scripted",))) == ("scripted",)
    with pytest.raises(HarnessError, match=r"task 'triage' names no pair for engine bundled: PLAN.pairs"):
        engines_of(plan, SelftestOptions(task="triage", engines=("bundled",)))
