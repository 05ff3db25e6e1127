"""The suite of scorecard: each figure on calls small enough to count by hand, and what its cases may be labelled with."""

import json
from typing import Any

import numpy as np
import pytest

from eval.spine.cases import Case, cases_digest, load_cases, parse_case
from eval.spine.code_digest import deciding_files
from eval.spine.errors import CaseError
from eval.spine.results import CaseResult
from eval.spine.scorer import ScorerContext
from eval.suites import load_case_rules, load_suite
from eval.suites.scorecard import FORMS
from eval.suites.scorecard.kappa import Kappa, LeastKappa
from eval.suites.scorecard.labels import ScorecardExpectations
from eval.verdict.pooled import Pooled, pooled, pooled_interval
from service.core.run.task import TaskResult, load_task
from service.core.tasks.scorecard import ScorecardInputs
from service.core.tasks.scorecard.card import make_card
from service.core.tasks.scorecard.reading import LINES, Reading, read_answer
from service.core.tasks.scorecard.windows import plan
from service.core.unit.cards import ModelCards
from service.core.unit.pair_file import load_pair
from service.kit.settings import REPO_ROOT

SUITE = load_suite("scorecard")
TEXTS = [
    "Good morning, this is Sam speaking",
    "My bill is wrong today",
    "I am sorry to hear that",
    "Bye then, and thanks",
]
CRITERIA = [
    {"id": "greet", "question": "Did the agent greet?", "weight": 1, "required": True},
    {"id": "empathy", "question": "Did the agent show empathy?", "weight": 1},
    {
        "id": "plan",
        "question": "Did the agent repeat the plan?",
        "weight": 2,
        "required": True,
        "applies_when": "A plan.",
    },
]
INPUTS = {
    "call_id": "c1",
    "tenant": "t",
    "form": {
        "form_id": "f",
        "tenant": "t",
        "name": "F",
        "version": 1,
        "pass_threshold": 0.5,
        "sections": [{"id": "s", "title": "S", "criteria": CRITERIA}],
    },
    "turns": [{"speaker": "agent" if n % 2 == 0 else "customer", "start_s": n, "text": t} for n, t in enumerate(TEXTS)],
}


def case_of(number: int = 0, **labels: Any) -> Case:
    answers = {
        "greet": {"verdict": "yes", "turn": 0, "quote": "Good morning"},
        "empathy": {"verdict": "yes", "turn": 2, "quote": "I am sorry"},
        "plan": {"verdict": "no", "turn": None, "quote": None, "why": "nothing agreed"},
    } | labels
    expectations = {"answers": answers, "resolution": "unresolved", "tone": {"customer": "calm", "agent": "warm"}}
    line = json.dumps({"id": f"case-{number}", "inputs": INPUTS, "expectations": expectations})
    return parse_case(line, "here", ScorecardInputs, ScorecardExpectations)[0]


def output_of(**answers: Any) -> str:
    inputs = ScorecardInputs.model_validate(INPUTS)
    parts = plan(inputs.turns, inputs.form, budget=None, answer_tokens=2000)
    overview = {"resolution": "unresolved", "customer_tone": "angry", "agent_tone": "warm"}
    reading = Reading.model_validate({"valid": True, "answers": answers, "overview": overview})
    return make_card("c1", inputs.form, inputs.turns, parts, [reading]).model_dump_json()


YES = {"verdict": "yes", "quote": "Good morning, this is Sam", "turn": 0}
RIGHT = {
    "greet": YES,
    "empathy": {"verdict": "yes", "quote": "I am sorry to hear", "turn": 2},
    "plan": {"verdict": "no"},
}


def result_of(output: str) -> TaskResult:
    return TaskResult(output=output, arm="primary", model="m", answered_by="m", latency_ms=1.0)


def figure(name: str, *pairs: tuple[Case, str]) -> float | None:
    cases = {case.id: case for case, _ in pairs}
    counts: dict[str, int] = {}
    results = []
    for case, output in pairs:
        repeat = counts[case.id] = counts.get(case.id, -1) + 1
        results.append(CaseResult(case_id=case.id, arm="primary", repeat=repeat, result=result_of(output), live=True))
    interval = pooled_interval(pooled(SUITE.pools[name], results, cases), seed=1)
    return None if interval is None else interval.value


def scores(case: Case, output: str) -> dict[str, float | None]:
    context = ScorerContext(
        case=case, inputs=ScorecardInputs.model_validate(INPUTS), result=result_of(output), output=output
    )
    return {name: s.value for scorer in SUITE.scorers for name, s in scorer.score(context).items()}


def test_a_right_scorecard_is_right_in_everything_but_the_tone() -> None:
    assert scores(case_of(), output_of(**RIGHT)) == {
        "verdicts": 1.0,
        "quotes_shown": 1.0,
        "score_error": 0.0,
        "passed_right": 1.0,
        "resolution": 1.0,
        "tone_customer": 0.0,
        "tone_agent": 1.0,
        "schema_valid": 1.0,
        "unreviewed": 1.0,
        "conduct": None,
        "order_unquoted": None,
        "accounted": None,
        "guard_clear": 1.0,
        "severe_harm": 0.0,
        "strange_contact": 0.0,
        "figures_heard": 1.0,
    }


@pytest.mark.parametrize(
    ("reason", "heard"),
    [
        ("Said in turn 2, two of three parts.", 1.0),
        ("The bill is wrong, and no plan is repeated.", 1.0),
        ("See turn 214.", 0.0),
        ("This happens at 47:12.", 0.0),
        ("The hold lasted eleven minutes and a half.", 0.0),
        ("Refund $912.40 by 14 March 2033.", 0.0),
    ],
)
def test_a_reason_brings_in_no_figure_of_its_own(reason: str, heard: float) -> None:
    found = scores(case_of(), output_of(**RIGHT | {"plan": {"verdict": "no", "reason": reason}}))
    assert found["figures_heard"] == heard


def test_empty_words_of_the_right_turn_are_no_evidence() -> None:
    longer = [{"speaker": "agent", "start_s": 0, "text": f"{TEXTS[0]}. And is there any other thing I may do for you?"}]
    case = case_of()
    case = case.model_copy(update={"inputs": INPUTS | {"turns": longer + INPUTS["turns"][1:]}})
    for quote, right in (("is there any other", 0.0), (YES["quote"], 1.0), ("Good morning, this is", 1.0)):
        card = json.loads(output_of(**RIGHT))
        card["criteria"][0] |= {"quote": quote}
        output = json.dumps(card)
        assert figure("evidence_right", (case, output)) == 1.0
        assert figure("evidence_words", (case, output)) == (1 + right) / 2
        assert scores(case, output)["quotes_shown"] == (1 + right) / 2
    also = {"verdict": "yes", "turn": 0, "quote": "Good morning", "also": [{"turn": 0, "quote": "any other thing"}]}
    case = case_of(greet=also).model_copy(update={"inputs": case.inputs})
    card["criteria"][0] |= {"quote": "is there any other"}
    assert figure("evidence_words", (case, json.dumps(card))) == 1.0


def test_a_wrong_verdict_costs_its_weight() -> None:
    wrong = RIGHT | {"plan": {"verdict": "na"}}  # 2 of 2 in place of 2 of 4, and passed in place of failed
    found = scores(case_of(), output_of(**wrong))
    assert (found["verdicts"], found["score_error"], found["passed_right"]) == (pytest.approx(2 / 3), 50.0, 0.0)


def test_without_a_score_there_is_no_score_error() -> None:
    incomplete = {name: answer for name, answer in RIGHT.items() if name != "plan"}
    found = scores(case_of(), output_of(**incomplete))
    assert (found["score_error"], found["passed_right"], found["verdicts"]) == (None, None, pytest.approx(2 / 3))
    all_na = {name: {"verdict": "na"} for name in RIGHT}
    assert scores(case_of(**all_na), output_of(**RIGHT))["score_error"] is None


def test_accuracy_and_kappa_by_hand() -> None:
    wrong = output_of(**RIGHT | {"plan": {"verdict": "yes", "quote": "I am sorry to hear", "turn": 2}})
    pairs = [(case_of(0), output_of(**RIGHT)), (case_of(1), wrong)]
    assert figure("accuracy", *pairs) == pytest.approx(5 / 6)
    # 5 of 6 agree; labelled 4 yes and 2 no, answered 5 yes and 1 no: chance (20 + 2) / 36.
    assert figure("kappa", *pairs) == pytest.approx((5 / 6 - 22 / 36) / (1 - 22 / 36))


def test_an_unanswered_criterion_is_a_wrong_answer() -> None:
    incomplete = output_of(**{name: answer for name, answer in RIGHT.items() if name != "plan"})
    assert figure("accuracy", (case_of(), incomplete)) == pytest.approx(2 / 3)


def test_kappa_per_criterion_is_the_mean_of_those_with_calls_enough() -> None:
    pool = Kappa(by="criterion", least=4)
    no = {"verdict": "no"}
    cases = [case_of(0), case_of(1), case_of(2, greet=no), case_of(3, greet=no)]
    outputs = [output_of(**RIGHT)] * 3 + [output_of(**RIGHT | {"greet": no})]
    results = [
        CaseResult(case_id=case.id, arm="primary", repeat=0, result=result_of(output), live=True)
        for case, output in zip(cases, outputs, strict=True)
    ]
    side = pooled(pool, results, {case.id: case for case in cases})
    # greet: 3 of 4 agree, chance (2 * 3 + 2 * 1) / 16 = 0.5, kappa 0.5; the others never vary and have none.
    interval = pooled_interval(side, seed=1)
    assert interval is not None
    assert interval.value == pytest.approx(0.5)
    by_criterion = pool.by_group(side.names, side.counts.sum(axis=0))
    assert by_criterion["f/greet"] == (pytest.approx(0.5), 4.0)
    assert pooled_interval(pooled(Kappa(by="criterion", least=5), results, {c.id: c for c in cases}), seed=1) is None


def _side(pool: Kappa, pairs: list[tuple[Case, str]]) -> Pooled:
    results = [
        CaseResult(case_id=case.id, arm="primary", repeat=0, result=result_of(output), live=True)
        for case, output in pairs
    ]
    return pooled(pool, results, {case.id: case for case, _ in pairs})


@pytest.mark.acceptance("call-gate-05")
def test_one_criterion_turned_round_is_the_lowest_and_is_named() -> None:
    """15 calls, half of them labelled no for ``greet``: the mean hides it, the lowest criterion does not."""
    no, plan_yes = {"verdict": "no"}, {"verdict": "yes", "quote": "Bye then, and thanks", "turn": 3}
    cases = [
        case_of(
            n, greet=no if n % 2 else YES, plan=no if n % 3 else plan_yes, empathy=no if n % 4 else RIGHT["empathy"]
        )
        for n in range(15)
    ]
    right = [
        RIGHT | {"greet": no if n % 2 else YES, "plan": no if n % 3 else plan_yes}
        | ({"empathy": no} if n % 4 else {})
        for n in range(15)
    ]  # fmt: skip
    turned = [answers | {"greet": YES if n % 2 else no} for n, answers in enumerate(right)]
    pool = LeastKappa(by="criterion", at_best=True)
    good = _side(pool, [(case, output_of(**answers)) for case, answers in zip(cases, right, strict=True)])
    bad = _side(pool, [(case, output_of(**answers)) for case, answers in zip(cases, turned, strict=True)])
    ones = np.ones((1, 15))
    assert good.figures(ones)[0] == pytest.approx(1.0)
    # None of 15 agree; Wilson's upper end of 0 in 15 is 3.8416 / 18.8416, chance is (8 * 7 + 7 * 8) / 225.
    chance = 112 / 225
    assert bad.figures(ones)[0] == pytest.approx((3.8416 / 18.8416 - chance) / (1 - chance), abs=1e-3)
    assert bad.note.startswith("lowest kappa: f/greet -")
    assert LeastKappa(by="form").figures(bad.names, bad.counts.sum(axis=0, keepdims=True))[0] < 0
    table = pool.table(bad.names, bad.counts.sum(axis=0))
    assert [(row[0], row[1], row[-1]) for row in table.rows] == [
        ("f/greet", "15", "no"), ("f/empathy", "15", "yes"), ("f/plan", "15", "yes"),
    ]  # fmt: skip


@pytest.mark.acceptance("call-gate-05")
def test_too_few_calls_are_undecided_and_never_pass_in_silence() -> None:
    no = {"verdict": "no"}
    pairs = [(case_of(n, greet=no if n else YES), output_of(**RIGHT | {"greet": no if n else YES})) for n in range(3)]
    side = _side(LeastKappa(by="criterion", least=1), pairs)
    readings = {row[0]: row[-1] for row in LeastKappa().table(side.names, side.counts.sum(axis=0)).rows}
    assert readings["f/greet"] == "undecided: too few calls"  # all three agree
    assert readings["f/plan"] == "undecided: one answer throughout"
    assert not (LeastKappa(by="criterion").figures(side.names, side.counts.sum(axis=0, keepdims=True)) <= 1)[0]
    floors = {floor.value: floor for floor in SUITE.slice_floors if floor.slice == "form"}
    form = {"metric": "kappa", "min_n": 10}
    assert {name: {"metric": floor.metric, "min_n": floor.min_n} for name, floor in floors.items()} == dict.fromkeys(
        FORMS, form
    )


@pytest.mark.acceptance("call-gate-05")
def test_every_form_of_the_gate_set_has_its_floor() -> None:
    cases = load_cases(
        REPO_ROOT / "datasets" / "scorecard" / "gate.jsonl",
        input_model=ScorecardInputs,
        expectations=ScorecardExpectations,
    ).cases
    assert {case.slices["form"] for case in cases} == set(FORMS)


def test_evidence_figures_by_hand() -> None:
    odd = {
        "greet": {"verdict": "yes", "quote": "Good evening, this is Sam", "turn": 0},  # nobody said it
        "empathy": {"verdict": "yes", "quote": "My bill is wrong", "turn": 2},  # said, in another turn
        "plan": {"verdict": "yes"},
    }
    # One was never said, one is the customer's, one is missing.
    assert figure("quotes_verified", (case_of(), output_of(**odd))) == 0.0
    said = odd | {"empathy": RIGHT["empathy"]}
    assert figure("quotes_verified", (case_of(), output_of(**said))) == pytest.approx(1 / 3)
    assert figure("evidence_right", (case_of(), output_of(**odd))) == 0.0
    assert figure("evidence_right", (case_of(), output_of(**RIGHT))) == 1.0
    assert figure("yes_proven", (case_of(), output_of(**odd))) == pytest.approx(1 / 3)
    assert figure("right_turn", (case_of(), output_of(**odd))) == 0.0
    assert figure("right_turn", (case_of(), output_of(**RIGHT))) == 1.0
    assert figure("quotes_verified", (case_of(), output_of(**{n: {"verdict": "no"} for n in RIGHT}))) is None


def test_evidence_that_code_took_from_the_call_can_be_wrong() -> None:
    """The agent said each quote, so ``quotes_verified`` is 1: only one of them shows what it is cited for."""
    copied = {
        "greet": YES,
        "empathy": {
            "verdict": "yes",
            "quote": "Good morning, this is Sam",
            "turn": 0,
        },  # another turn than the labelled one
        "plan": {"verdict": "yes", "quote": "I am sorry to hear that", "turn": 2},  # the wrong verdict
    }
    assert figure("quotes_verified", (case_of(), output_of(**copied))) == 1.0
    assert figure("evidence_right", (case_of(), output_of(**copied))) == pytest.approx(1 / 3)
    # A right answer about something that was not said owes no evidence, and what it quotes is not judged.
    right = RIGHT | {"plan": {"verdict": "no", "quote": "Bye then, and thanks", "turn": 3}}
    assert figure("evidence_right", (case_of(), output_of(**right))) == 1.0


@pytest.mark.acceptance("call-gate-04")
def test_no_bound_of_time_lies_above_every_deadline() -> None:
    """A bound that no shipped pair's answer can break while it is in time decides nothing."""
    task = load_task("scorecard")
    cards = ModelCards.load(REPO_ROOT / "prompts" / "models.yaml")
    deadlines = [
        load_pair(path, cards=cards, task_variables=task.variables).serving.deadline_ms
        for path in (REPO_ROOT / "prompts" / "scorecard").glob("*.prompty")
    ]
    bounds = {floor.metric: floor.bound for floor in SUITE.floors}
    assert bounds["latency_p95"] <= max(deadlines)
    assert 0.5 < bounds["on_time"] < 1.0


def test_failed_required_criteria_are_found_or_not() -> None:
    no = {"verdict": "no"}
    pairs = [(case_of(0), output_of(**RIGHT)), (case_of(1), output_of(**RIGHT | {"plan": YES, "greet": no}))]
    assert figure("required_fail_recall", *pairs) == 0.5
    assert figure("required_fail_precision", *pairs) == 0.5
    assert figure("required_fail_precision", (case_of(), output_of(**RIGHT | {"plan": YES}))) is None


def test_each_wrong_verdict_counts_in_the_figure_of_what_was_answered() -> None:
    na = {"verdict": "na"}
    for given, found in (
        ({}, (0, 0, 0)),
        ({"plan": YES}, (1, 0, 0)),  # of one criterion that is no yes
        ({"plan": na}, (0, 0, 1 / 3)),  # of three that apply
        ({"greet": {"verdict": "no"}, "plan": na}, (0, 0.5, 1 / 3)),
    ):
        pair = (case_of(), output_of(**RIGHT | given))
        assert tuple(figure(name, pair) for name in ("wrong_yes", "wrong_no", "wrong_na")) == pytest.approx(found)
    excusable = case_of(plan={"verdict": "na", "turn": None, "quote": None})
    assert figure("wrong_na", (excusable, output_of(**RIGHT | {"plan": na}))) == 0.0
    assert figure("wrong_no", (excusable, output_of(**RIGHT))) == pytest.approx(1 / 3)


def test_an_unanswered_criterion_is_no_wrong_verdict() -> None:
    pair = (case_of(), output_of(greet=YES))
    assert [figure(name, pair) for name in ("wrong_yes", "wrong_no", "wrong_na")] == [0.0, 0.0, 0.0]


def test_labels_are_strict_and_part_of_the_digest() -> None:
    with pytest.raises(CaseError, match=r"here: field 'expectations.answers.greet.verdict'"):
        case_of(greet={"verdict": "maybe"})
    line = json.dumps({"id": "case-0", "inputs": INPUTS, "expectations": {"facts": [], "anwsers": {}}})
    with pytest.raises(CaseError, match=r"expectations.anwsers"):
        parse_case(line, "here", ScorecardInputs, ScorecardExpectations)
    assert cases_digest([case_of()]) != cases_digest([case_of(greet={"verdict": "no"})])


def test_other_tasks_cases_are_digested_as_before() -> None:
    """Evidence for released pairs names the digest; a subclass of the expectations must not change it for others."""
    card = (REPO_ROOT / "datasets" / "summarize" / "dev.jsonl").read_text(encoding="utf-8").splitlines()[0]
    case = Case.model_validate_json(card)
    assert set(case.model_dump(mode="json")["expectations"]) == {
        "references",
        "facts",
        "forbidden",
        "open_items",
        "mood",
    }


@pytest.mark.parametrize("name", ["dev", "gate"])
def test_every_labelled_quote_is_verified_where_it_is_labelled(name: str) -> None:
    rules = load_case_rules("scorecard")
    path = REPO_ROOT / "datasets" / "scorecard" / f"{name}.jsonl"
    cases = load_cases(path, input_model=ScorecardInputs, expectations=rules.expectations).cases
    for case in cases:
        inputs = ScorecardInputs.model_validate(case.inputs)
        labels = case.expectations.answers
        answers = {
            key: label.model_dump(include={"verdict", "turn"}) | {"quote": label.quote or ""}
            for key, label in labels.items()
        }
        parts = plan(inputs.turns, inputs.form, budget=None, answer_tokens=9000)
        card = make_card(
            "c", inputs.form, inputs.turns, parts, [Reading.model_validate({"valid": True, "answers": answers})]
        )
        for item in card.criteria:
            assert (item.evidence == "verified") == (labels[item.id].quote is not None), (case.id, item.id)
            assert item.turn == labels[item.id].turn, (case.id, item.id)


@pytest.mark.parametrize(
    "name",
    [
        "eval/suites/scorecard/pools.py",
        "service/core/tasks/scorecard/evidence.py",
        "service/core/tasks/scorecard/__init__.py",
        "eval/verdict/pooled.py",
    ],
)
def test_the_tasks_own_folders_are_in_the_suites_digest(name: str) -> None:
    assert name in deciding_files("scorecard")
    assert name == "eval/verdict/pooled.py" or name not in deciding_files("summarize")


@pytest.mark.acceptance("call-gate-04")
def test_quotes_that_code_takes_from_the_call_can_fail() -> None:
    """A pair that only names lines quotes what was said, always; naming the customer's line shows nothing of the agent."""
    answers = {name: {"turn": turn, "verdict": "yes"} for name, turn in (("greet", 0), ("empathy", 1), ("plan", 1))}
    reading = read_answer(
        json.dumps({"answers": answers}),
        list(answers),
        overview=False,
        schema=LINES,
        lines=dict(enumerate(TEXTS)),
    )
    inputs = ScorecardInputs.model_validate(INPUTS)
    parts = plan(inputs.turns, inputs.form, budget=None, answer_tokens=2000)
    card = make_card("c1", inputs.form, inputs.turns, parts, [reading])
    assert {item.evidence for item in card.criteria} == {"verified"}
    assert figure("quotes_verified", (case_of(), card.model_dump_json())) == pytest.approx(1 / 3)
