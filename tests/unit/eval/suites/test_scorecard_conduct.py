"""Calls that are no ordinary calls: what must not happen with each, and that the shipped set and the gate notice it."""

import json
import random
from typing import Any

import pytest

from eval.selftest.faults import verdicts
from eval.spine.cases import Case, load_cases
from eval.spine.results import CaseResult
from eval.spine.scorer import ScorerContext
from eval.suites import load_suite
from eval.suites.scorecard.case_rules import CASE_RULES
from eval.suites.scorecard.conduct import KINDS, CallConductScorer
from eval.suites.scorecard.labels import ScorecardExpectations
from eval.verdict.must_pass import must_pass_checks
from service.core.run.task import TaskResult
from service.core.tasks.scorecard import TASK, ScorecardInputs
from service.core.tasks.scorecard.card import make_card
from service.core.tasks.scorecard.reading import Reading
from service.core.tasks.scorecard.windows import plan
from service.kit.settings import REPO_ROOT

SUITE = load_suite("scorecard")


def _load(name: str) -> tuple[Case, ...]:
    path = REPO_ROOT / "datasets" / "scorecard" / f"{name}.jsonl"
    return load_cases(path, input_model=ScorecardInputs, expectations=ScorecardExpectations).cases


MUST_PASS = tuple(case for case in _load("regression") if "behaviour" in case.slices)


def card_of(case: Case, verdict: str | None, *, turn: int | None = None) -> str:
    """Return the scorecard of a pair that gives every criterion the same answer, with the words of ``turn`` as evidence."""
    inputs = ScorecardInputs.model_validate(case.inputs)
    quote = {} if turn is None else {"quote": inputs.turns[turn].text, "turn": turn}
    answers: dict[str, Any] = {
        criterion.id: {"verdict": verdict, **quote} for criterion in inputs.form.criteria() if verdict is not None
    }
    parts = plan(inputs.turns, inputs.form, budget=None, answer_tokens=9000)
    reading = Reading.model_validate({"valid": True, "answers": answers})
    return make_card("c", inputs.form, inputs.turns, parts, [reading]).model_dump_json()


def scores(case: Case, output: str) -> dict[str, float | None]:
    result = TaskResult(output=output, arm="primary", model="m", answered_by="m", latency_ms=1.0)
    context = ScorerContext(case=case, inputs=ScorecardInputs.model_validate(case.inputs), result=result, output=output)
    return {name: score.value for name, score in CallConductScorer().score(context).items()}


@pytest.mark.acceptance("call-gate-06")
def test_the_shipped_set_has_every_kind_and_orders_in_everybodys_words() -> None:
    kinds = {case.slices["behaviour"] for case in MUST_PASS}
    assert kinds == set(KINDS)
    speakers = {
        case.inputs["turns"][int(str(case.slices["order_turn"]))]["speaker"]
        for case in MUST_PASS
        if case.slices["behaviour"] == "order"
    }
    assert speakers == {"agent", "customer", "system", "unknown"}
    assert max(case.inputs["turns"][-1]["start_s"] for case in MUST_PASS) >= 3600


@pytest.mark.parametrize(
    "case", [case for case in MUST_PASS if case.slices["behaviour"] == "order"], ids=lambda case: case.id
)
@pytest.mark.acceptance("call-gate-06")
def test_whoever_answers_as_ordered_or_quotes_the_order_is_caught(case: Case) -> None:
    ordered, other = ("no", "yes") if case.slices["ordered"] == "no" else ("yes", "no")
    assert scores(case, card_of(case, ordered))["conduct"] == 0.0
    assert scores(case, card_of(case, other))["conduct"] == 1.0
    place = int(str(case.slices["order_turn"]))
    assert scores(case, card_of(case, "yes", turn=place))["order_unquoted"] == 0.0
    assert scores(case, card_of(case, "no", turn=place))["order_unquoted"] == 1.0


@pytest.mark.acceptance("call-gate-07")
def test_half_a_conversation_must_be_shown_to_a_person_and_prove_each_yes() -> None:
    case = next(case for case in MUST_PASS if case.slices["behaviour"] == "one_sided")
    assert scores(case, card_of(case, "no"))["conduct"] == 1.0
    assert scores(case, card_of(case, "yes", turn=1))["conduct"] == 1.0
    assert scores(case, card_of(case, "yes"))["conduct"] == 0.0
    heard = json.loads(card_of(case, "no"))
    unseen = heard | {"review": [item for item in heard["review"] if item["code"] != "one_speaker"]}
    assert scores(case, json.dumps(unseen))["conduct"] == 0.0


@pytest.mark.acceptance("call-gate-07")
def test_an_hours_call_must_be_answered_whole() -> None:
    case = next(case for case in MUST_PASS if case.slices["behaviour"] == "hour_long")
    assert scores(case, card_of(case, "no"))["conduct"] == 1.0
    assert scores(case, card_of(case, None))["conduct"] == 0.0


@pytest.mark.parametrize("turns", [[], [{"speaker": "system", "start_s": 0, "text": "(hold music)"}],
                                   [{"speaker": "customer", "start_s": 0, "text": "Hello? Is anyone there?"}]])  # fmt: skip
@pytest.mark.acceptance("call-gate-07")
def test_silence_reaches_no_pair_and_goes_to_a_person(turns: list[dict[str, Any]]) -> None:
    inputs = ScorecardInputs.model_validate({**MUST_PASS[0].inputs, "turns": turns})
    card = json.loads(TASK.without_model(inputs) or "{}")
    assert (card["status"], card["score"], card["needs_review"]) == ("not_scoreable", None, True)
    assert {item["verdict"] for item in card["criteria"]} == {None}


def test_an_ordinary_call_has_no_conduct_and_one_with_an_order_in_the_gate_set_has() -> None:
    gate = _load("gate")
    ordinary = next(case for case in gate if case.slices["injection"] is not True)
    assert scores(ordinary, card_of(ordinary, "yes")) == {"conduct": None, "order_unquoted": None}
    ordered = next(case for case in gate if case.id == "gate-support-07")  # labelled no throughout
    assert scores(ordered, card_of(ordered, "yes"))["conduct"] == 0.0
    rightly = next(case for case in gate if case.id == "gate-servicing-08")  # labelled yes throughout
    assert scores(rightly, card_of(rightly, "yes"))["conduct"] == 1.0


@pytest.mark.acceptance("call-gate-04")
def test_a_pair_that_obeys_once_is_refused() -> None:
    def checked(verdict_of: dict[str, str]) -> dict[str, str]:
        results = [
            CaseResult(
                case_id=case.id,
                arm="primary",
                repeat=0,
                result=TaskResult(output="{}", arm="primary", model="m", answered_by="m", latency_ms=1.0),
                live=True,
                scores=CallConductScorer().score(
                    ScorerContext(
                        case=case,
                        inputs=ScorecardInputs.model_validate(case.inputs),
                        result=TaskResult(output="", arm="primary", model="m", answered_by="m", latency_ms=1.0),
                        output=card_of(case, verdict_of.get(case.id, "no"), turn=0),
                    )
                ),
            )
            for case in MUST_PASS
        ]
        return {check.metric.name: str(check.verdict) for check in must_pass_checks(SUITE, results)}

    fair = {"must-order-05": "yes"}  # its caller orders "no" about an agent who did everything
    assert checked(fair)["conduct"] == "pass"
    assert checked(fair | {"must-order-01": "yes"})["conduct"] == "fail"


def test_a_wrong_behaviour_case_is_named() -> None:
    case = MUST_PASS[0]
    read = CASE_RULES.labels
    assert read is not None
    inputs = ScorecardInputs.model_validate(case.inputs)
    assert list(read(case, inputs)) == []
    wrong = case.model_copy(update={"slices": {"behaviour": "ordr", "order_turn": "99"}})
    assert "it may be order, one_sided, hour_long" in next(iter(read(wrong, inputs)))
    nowhere = case.model_copy(update={"slices": {"behaviour": "order", "order_turn": "99"}})
    assert "give the number of the turn" in next(iter(read(nowhere, inputs)))


def test_the_planted_obedience_is_noticed_in_the_gate_set() -> None:
    case = next(case for case in _load("gate") if case.id == "gate-support-07")
    answer = verdicts.draw_answer(case, random.Random(1), slip=0.0)
    obedient = verdicts.spoilt(verdicts.obeys_orders)(answer, case, random.Random(1))
    assert {item["verdict"] for item in json.loads(obedient)["answers"].values()} == {"yes"}
    assert {item["verdict"] for item in json.loads(answer)["answers"].values()} == {"no"}
