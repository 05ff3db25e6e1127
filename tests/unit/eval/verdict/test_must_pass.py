from dataclasses import replace

from eval.report.reasons import figures_text
from eval.spine.cases import Case
from eval.spine.results import CaseResult, Score, Verdict
from eval.spine.suite import MustPass, Suite
from eval.verdict.must_pass import must_pass_checks, must_pass_slices
from figures.metric import Unit
from service.core.run.task import TaskResult

SUITE = Suite(
    task="summarize",
    gate_dataset="dev",
    scorers=(),
    metrics=(),
    floors=(),
    no_worse=(),
    judged_only=(),
    max_unscored_rate=0.1,
    minimum_latency_calls=1,
    must_pass=(MustPass(score="facts", at_least=0.5, reason="r"), MustPass(score="clear", at_least=1.0, reason="r")),
)


def result(case_id, *, failed=False, repeat=0, **scores):
    answer = TaskResult(
        output=None if failed else "text",
        arm="primary",
        model="m",
        answered_by="m",
        latency_ms=1.0,
        **({"failure": "OUTPUT_INVALID"} if failed else {}),
    )
    return CaseResult(
        case_id=case_id,
        arm="primary",
        repeat=repeat,
        result=answer,
        live=True,
        scores={
            name: Score(value=value) if value is not None else Score(value=None, unscored="none listed", applies=False)
            for name, value in scores.items()
        },
    )


def test_no_case_makes_no_check():
    assert must_pass_checks(SUITE, []) == ()


def test_every_case_at_its_bound_passes():
    facts, clear = must_pass_checks(SUITE, [result("a", facts=0.5, clear=1.0), result("b", facts=1.0, clear=1.0)])
    assert (facts.verdict, facts.metric.value, facts.metric.n, facts.kind, facts.metric.unit) == (
        Verdict.PASS,
        1.0,
        2,
        "must_pass",
        Unit.RATE,
    )
    assert clear.verdict is Verdict.PASS


def test_one_case_below_fails_and_is_named():
    facts, clear = must_pass_checks(SUITE, [result("a", facts=0.49, clear=1.0), result("b", facts=1.0, clear=1.0)])
    assert (facts.verdict, facts.metric.value) == (Verdict.FAIL, 0.5)
    assert "1 of 2 cases that went wrong before go wrong again: a" in facts.explanation
    assert clear.verdict is Verdict.PASS


def test_a_score_without_value_is_left_out_and_a_failed_answer_fails():
    silent = result("a", facts=1.0, clear=None)
    facts, clear = must_pass_checks(SUITE, [silent, result("b", failed=True)])
    assert (facts.verdict, facts.metric.n) == (Verdict.FAIL, 2)
    assert (clear.verdict, clear.metric.n) == (Verdict.FAIL, 1)


def test_the_worst_of_several_answers_counts():
    answers = [result("a", repeat=0, facts=1.0, clear=1.0), result("a", repeat=1, facts=0.0, clear=1.0)]
    facts, _ = must_pass_checks(SUITE, answers)
    assert (facts.verdict, facts.metric.n) == (Verdict.FAIL, 1)


RISK = replace(
    SUITE,
    must_pass=(MustPass(score="facts", at_least=0.3, reason="r", slice="vulnerable", tolerated=1),),
    declared_digest="d",
)
AT_RISK = {
    name: Case(id=name, inputs={}, slices={"vulnerable": name != "case-d"}) for name in ("case-a", "case-b", "case-d")
}


def test_a_slice_at_risk_is_checked_case_by_case_and_other_cases_are_not():
    answers = [result("case-a", facts=0.3), result("case-b", facts=1.0), result("case-d", facts=0.0)]
    (check,) = must_pass_slices(RISK, AT_RISK, answers)
    assert (check.verdict, check.metric.n, check.slice) == (Verdict.PASS, 2, "vulnerable")
    assert must_pass_checks(RISK, answers) == ()


def test_one_tolerated_miss_passes_and_is_named_and_two_fail():
    one = [result("case-a", facts=0.29), result("case-b", facts=1.0)]
    (check,) = must_pass_slices(RISK, AT_RISK, one)
    assert check.verdict is Verdict.PASS
    assert "1 of 2 vulnerable cases stay below 0.3: case-a; up to 1 are tolerated" in check.explanation
    assert (figures_text(check), check.metric.value == check.bound) == (
        "facts of every vulnerable case 1 of 2 cases, needs at least 1 of 2", True,
    )  # fmt: skip
    (check,) = must_pass_slices(RISK, AT_RISK, [result("case-a", facts=0.0), result("case-b", failed=True)])
    assert check.verdict is Verdict.FAIL


def test_a_gate_set_without_the_slice_makes_no_check():
    assert must_pass_slices(RISK, AT_RISK, [result("case-d", facts=0.0)]) == ()


def test_a_score_that_is_missing_for_another_reason_fails_and_one_that_applies_nowhere_makes_no_check():
    crashed = replace(result("a", facts=1.0), scores={"facts": Score(value=None, unscored="facts crashed: KeyError")})
    (facts,) = must_pass_checks(replace(SUITE, must_pass=SUITE.must_pass[:1], declared_digest="d"), [crashed])
    assert (facts.verdict, facts.metric.n) == (Verdict.FAIL, 1)
    assert must_pass_checks(SUITE, [result("a", facts=None, clear=None)]) == ()
