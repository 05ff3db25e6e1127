"""What an evaluation says: who passes and why, which results went worst, and which words of an output are at fault."""

import pickle
from dataclasses import replace

import pytest
from tiny_evaluation import bare_evaluation, bare_gate, bare_pair, bare_suite

from eval.dialogue.play import DialogueEpisode
from eval.dialogue.world import RecordsWorld
from eval.report.cases import mark_output
from eval.report.conclusions import badness, findings_of, headline, problem_lines, replaced_models, why, worst_results
from eval.report.finding_counts import findings_sentence, results_with_faults
from eval.spine.cases import Case, Expectations, Forbidden
from eval.spine.results import CaseResult, Check, Evaluation, PairResult, QuotingFinding, Score, Verdict
from eval.spine.suite import MetricSpec
from figures.metric import Metric, Unit
from service.core.run.task import TaskResult
from service.kit.frame.errors import FailureCode

FINDING = QuotingFinding("amount $450 is in no interaction", quote="A refund of $450 was promised.", value="$450")
FALSE_CLAIM = "claims 'The refund was promised' by the form 'refund + promised'"
CASE = Case(
    id="tiny-00",
    inputs={},
    expectations=Expectations(
        forbidden=(Forbidden(claim="The refund was promised", accepted=("refund + promised",)),),
    ),
)
SUITE = bare_suite(
    metrics=(
        MetricSpec(name="grounded", kind="rate", score="grounded", unit=Unit.RATE),
        MetricSpec(name="fact_coverage", kind="mean", score="fact_coverage", unit=Unit.RATE),
        MetricSpec(name="forbidden_clear", kind="rate", score="forbidden_clear", unit=Unit.RATE),
        MetricSpec(name="plain", kind="rate", score="plain", unit=Unit.RATE),
    ),
    table=("grounded", "fact_coverage", "forbidden_clear"),
)


def answer(number: int, *, failure: FailureCode | None = None, **scores: Score) -> CaseResult:
    result = TaskResult(
        output=None if failure else "text", arm="primary", model="m", answered_by="m", latency_ms=5.0, failure=failure,
        failure_message="no answer in time" if failure else "",
    )  # fmt: skip
    return CaseResult(case_id=f"tiny-{number:02}", arm="primary", repeat=0, result=result, live=True, scores=scores)


def floor(verdict: Verdict) -> Check:
    return Check(
        kind="floor",
        metric=Metric(name="grounded", unit=Unit.RATE, higher_is_better=True, value=0.7, low=0.6, high=0.8, n=12),
        bound=0.8,
        verdict=verdict,
        reason="r",
        explanation="e",
    )


def make_pair(name: str, *verdicts: Verdict) -> PairResult:
    gate = bare_gate(name, checks=tuple(floor(verdict) for verdict in verdicts))
    return bare_pair(gate)


def make_evaluation(*pairs: PairResult) -> Evaluation:
    return bare_evaluation(*pairs, case_count=1, calls_live=1)


def test_worst_results_are_failures_then_unsupported_then_false_claims_then_low_coverage() -> None:
    def scored(number: int, grounded: float, clear: float, coverage: float) -> CaseResult:
        return answer(
            number,
            grounded=Score(value=grounded),
            forbidden_clear=Score(value=clear),
            fact_coverage=Score(value=coverage),
        )

    results = [
        scored(0, 1.0, 1.0, 1.0),
        scored(1, 1.0, 1.0, 0.2),
        scored(2, 1.0, 1.0, 0.1),
        scored(3, 1.0, 0.0, 1.0),
        scored(4, 0.0, 1.0, 1.0),
        answer(5, failure=FailureCode.DEADLINE),
    ]
    worst = [item.case_id for item in worst_results(results, SUITE)]
    assert worst == ["tiny-05", "tiny-04", "tiny-03", "tiny-02", "tiny-01"]
    assert worst_results(results, SUITE, 2) == [results[5], results[4]]


def test_an_unscored_value_ranks_as_good() -> None:
    unscored = answer(0, grounded=Score(value=None, unscored="the scorer crashed"))
    assert badness(unscored, SUITE) == (1.0, 1.0, 1.0, 1.0, 1.0)
    assert worst_results([unscored], SUITE) == []


def test_problems_name_the_gravest_first_and_each_once() -> None:
    bad = answer(
        0,
        fact_coverage=Score(value=0.0, findings=("A $45 charge is disputed",)),
        forbidden_clear=Score(value=0.0, findings=(FALSE_CLAIM,)),
        grounded=Score(value=0.0, findings=(FINDING,)),
        grounded_amounts=Score(value=0.0, findings=(FINDING,)),
    )
    assert problem_lines(bad, SUITE) == [FINDING, FALSE_CLAIM, "missing: A $45 charge is disputed"]
    assert problem_lines(answer(0, failure=FailureCode.DEADLINE), SUITE) == ["no answer, DEADLINE: no answer in time"]
    assert problem_lines(answer(0), SUITE) == []


@pytest.mark.parametrize(
    ("statement", "output"),
    [
        ("It's $450 now.", "First. It's $450 now. Last."),
        ("It's $450 now.", "First. It’s  $450\nnow. Last."),  # quotes and spaces that a scorer evened out
    ],
)
def test_a_quoted_statement_and_its_value_are_marked_in_the_output(statement: str, output: str) -> None:
    finding = QuotingFinding("amount $450 is in no interaction", quote=statement, value="$450")
    item = answer(0, grounded=Score(value=0.0, findings=(finding,)))
    pieces = mark_output(output, findings_of(item), CASE)
    assert "".join(piece.text for piece in pieces) == output
    assert [piece.text for piece in pieces if piece.mark == "fault"] == ["$450"]
    assert [piece.mark for piece in pieces][:3] == ["", "statement", "fault"]


def test_a_sentence_that_states_a_false_claim_is_marked_whole() -> None:
    item = answer(0, forbidden_clear=Score(value=0.0, findings=(FALSE_CLAIM,)))
    pieces = mark_output("All quiet. A refund was promised. Really.", findings_of(item), CASE)
    assert [piece.text for piece in pieces if piece.mark == "fault"] == ["A refund was promised."]


def test_a_finding_that_quotes_nothing_of_the_output_marks_nothing() -> None:
    item = answer(0, plain=Score(value=0.0, findings=("markup: '**'", "no quote", "broken: 'x", r"bad: '\x'")))
    assert [piece.mark for piece in mark_output("Plain words.", findings_of(item), CASE)] == [""]
    assert mark_output("", findings_of(item), CASE) == []


@pytest.mark.parametrize(
    ("verdicts", "sentence"),
    [
        ([Verdict.PASS], "p0 passes the gate."),
        ([Verdict.FAIL], "p0 fails the gate."),
        ([Verdict.INCONCLUSIVE], "p0 is undecided: there is too little evidence to release it."),
        ([Verdict.FAIL, Verdict.INCONCLUSIVE], "None of 2 candidates passes the gate."),
        ([Verdict.PASS, Verdict.FAIL, Verdict.PASS], "2 of 3 candidates pass the gate: p0, p2."),
        ([], "No pair was evaluated."),
    ],
)
def test_the_headline_says_who_passes(verdicts: list[Verdict], sentence: str) -> None:
    pairs = [make_pair(f"p{number}", verdict) for number, verdict in enumerate(verdicts)]
    assert headline(make_evaluation(*pairs)) == sentence


def test_the_headline_counts_candidates_and_not_production() -> None:
    current = replace(make_pair("current", Verdict.PASS), is_production=True)
    assert headline(make_evaluation(current, make_pair("new", Verdict.FAIL))) == "new fails the gate."
    assert headline(make_evaluation(current)) == "current passes the gate."


@pytest.mark.parametrize(
    ("asked", "answered_by", "stand_in", "replaced"),
    [
        ("amazon.nova-lite-v1:0", "SmolLM2-135M-Q4", "SmolLM2", {"amazon.nova-lite-v1:0": ("SmolLM2-135M-Q4",)}),
        ("amazon.nova-lite-v1:0", "nova-lite", "SmolLM2", {}),  # its own short name
        ("amazon.nova-lite-v1:0", "nova-lite", None, {}),
        ("local.smollm2-q4", "SmolLM2-135M-Q4", "SmolLM2", {}),  # asked for by its own id
        ("none", "none", "SmolLM2", {}),  # an empty history asks no model
        ("amazon.nova-lite-v1:0", "", "SmolLM2", {}),  # a failure
    ],
)
def test_a_provider_model_that_a_stand_in_answered_counts_as_replaced(
    asked: str, answered_by: str, stand_in: str | None, replaced: dict[str, tuple[str, ...]]
) -> None:
    item = answer(0)
    item = replace(item, result=replace(item.result, model=asked, answered_by=answered_by))
    pair = replace(make_pair("p"), cases=(item,))
    assert replaced_models(replace(make_evaluation(pair), stand_in=stand_in), pair) == replaced


@pytest.mark.parametrize(
    ("verdicts", "reason"),
    [
        ([Verdict.PASS, Verdict.INCONCLUSIVE, Verdict.FAIL], "1 of 3 checks fails: grounded"),
        ([Verdict.PASS, Verdict.INCONCLUSIVE], "1 of 2 checks is undecided: grounded"),
        ([Verdict.PASS, Verdict.PASS], "all 2 checks pass"),
        ([Verdict.FAIL] * 6, "6 of 6 checks fail: grounded, grounded, grounded, grounded and 2 more"),
        ([], "the gate made no checks, and a gate without checks fails"),
    ],
)
def test_why_counts_the_worst_kind_of_checks_only(verdicts: list[Verdict], reason: str) -> None:
    assert why(make_pair("p", *verdicts)) == reason


def test_an_answer_with_a_finding_of_no_shown_metric_counts_in_list_and_sentence_alike() -> None:
    results = [
        answer(0),
        answer(1, english=Score(value=0.0, findings=("not recognised as English (taken for 'pcm')",))),
        answer(2, fact_coverage=Score(value=0.5, findings=("A $45 charge is disputed",))),
        answer(3, grounded=Score(value=0.0, findings=(FINDING,))),
        answer(4, failure=FailureCode.DEADLINE),
    ]
    assert [item.case_id for item in worst_results(results, SUITE)] == ["tiny-04", "tiny-03", "tiny-02", "tiny-01"]
    assert findings_sentence(results, SUITE) == (
        "4 of 5 answers have a finding: 1 got no answer, 1 with a false or unsupported statement, 1 incomplete, "
        "1 with another finding"
    )
    assert results_with_faults(results, SUITE) == [results[3]]
    assert [bool(problem_lines(item, SUITE)) for item in results] == [False, True, True, True, True]


def test_a_conversation_is_wrong_in_words_or_acts() -> None:
    suite = replace(SUITE, episode=DialogueEpisode(world=lambda scenario: RecordsWorld({}, (), {})))
    results = [answer(0), answer(1, grounded=Score(value=0.0, findings=("pay(amount=5) was not permitted",)))]
    assert findings_sentence(results, suite) == "1 of 2 conversations has a finding: 1 with wrong words or acts"


def test_a_finding_keeps_its_quote_on_the_way_to_another_process() -> None:
    again = pickle.loads(pickle.dumps(FINDING))
    assert (again, again.head, again.quote, again.value) == (FINDING, FINDING.head, FINDING.quote, "$450")
    assert again == "amount $450 is in no interaction: 'A refund of $450 was promised.'"


def test_a_suite_without_scores_of_single_answers_does_not_call_them_faultless() -> None:
    results = [answer(0), answer(1)]
    assert findings_sentence(results, replace(SUITE, metrics=(), table=())).startswith(
        "2 answers, none scored by itself: the suite has no score of single cases"
    )
