"""The hold-out calls of ``scorecard``: their files are as they were committed, and their labels hold together."""

from typing import Any

import pytest

from eval.run.loaders import load_dataset
from eval.selftest.holdout import count_pairs, holdout_page
from eval.spine.cases import Case, Dataset, load_cases
from eval.spine.errors import HarnessError
from eval.spine.results import CaseResult
from eval.suites.scorecard.labels import ScorecardExpectations, form_of, labels_of
from service.core.run.task import TaskResult
from service.core.tasks.scorecard import TASK, ScorecardInputs
from service.core.tasks.scorecard.card import make_card
from service.core.tasks.scorecard.evidence import find_quote
from service.core.tasks.scorecard.reading import Reading
from service.core.tasks.scorecard.windows import plan
from service.kit.settings import Settings


def _written(name: str) -> Dataset:
    path = Settings().datasets_dir / "scorecard" / f"{name}.jsonl"
    return load_cases(path, input_model=TASK.input_model, expectations=ScorecardExpectations)


def _served(name: str) -> tuple[Case, ...]:
    return load_dataset(name, task="scorecard", input_model=TASK.input_model, settings=Settings()).cases


CALLS = (*_written("holdout/calls").cases, *_served("holdout/calls"))
PAIRS = [(first, second) for first, second in zip(*[iter(_written("holdout/contrasts").cases)] * 2, strict=True)]


def _answered(case: Case, verdict: str | None) -> CaseResult:
    """Return an answer that gives ``verdict`` to every criterion, or its label."""
    inputs = ScorecardInputs.model_validate(case.inputs)
    answers: dict[str, Any] = {
        name: {"verdict": verdict or label.verdict} for name, label in labels_of(case).answers.items()
    }
    parts = plan(inputs.turns, inputs.form, budget=None, answer_tokens=9000)
    card = make_card(
        "c", inputs.form, inputs.turns, parts, [Reading.model_validate({"valid": True, "answers": answers})]
    )
    result = TaskResult(output=card.model_dump_json(), arm="primary", model="m", answered_by="m", latency_ms=1.0)
    return CaseResult(case_id=case.id, arm="primary", repeat=0, result=result, live=True)


def _turns(case: Case) -> list[dict[str, Any]]:
    return [{"speaker": turn["speaker"], "text": turn["text"]} for turn in case.inputs["turns"]]


def test_files_are_as_their_author_committed_them() -> None:
    digests = {name: _written(name).digest[:12] for name in ("gate", "holdout/calls", "holdout/contrasts")}
    assert digests == {
        "gate": "a30fba17ceff",
        "holdout/calls": "b62d1407f652",
        "holdout/contrasts": "f7df7b505eb2",
    }


@pytest.mark.parametrize("case", CALLS, ids=lambda case: case.id)
def test_every_criterion_has_a_label_whose_words_were_said(case: Case) -> None:
    call = ScorecardInputs.model_validate(case.inputs)
    criteria = {criterion.id: criterion for criterion in call.form.criteria()}
    labels = labels_of(case).answers
    assert list(labels) == list(criteria)
    for name, label in labels.items():
        if label.quote is None or label.turn is None:
            assert (label.turn, label.quote) == (None, None), name
            assert label.verdict != "yes", name
        else:
            assert label.verdict != "na", name
            assert label.quote in call.turns[label.turn].text, name
            assert find_quote(label.quote, label.turn, call.turns).turn == label.turn, name
            assert label.verdict == "no" or call.turns[label.turn].speaker != "customer", name
        assert label.verdict != "na" or criteria[name].prose or criteria[name].condition, name


@pytest.mark.parametrize("pair", PAIRS, ids=lambda pair: pair[0].slices["pair"])
def test_one_turn_of_a_pair_differs_and_with_it_one_verdict_or_none(pair: tuple[Case, Case]) -> None:
    base, edited = pair
    assert sum(one != other for one, other in zip(_turns(base), _turns(edited), strict=True)) == 1
    first, second = labels_of(base).answers, labels_of(edited).answers
    different = [name for name in first if first[name].verdict != second[name].verdict]
    assert different == ([base.slices["criterion"]] if base.slices["changes"] == "verdict" else [])


def test_no_long_turn_stands_in_the_gate_or_dev_set() -> None:
    known = {turn["text"] for name in ("gate", "dev") for case in _written(name).cases for turn in case.inputs["turns"]}
    assert [
        turn["text"] for case in CALLS for turn in _turns(case) if len(turn["text"]) > 45 and turn["text"] in known
    ] == []


def test_calls_use_the_forms_of_the_gate_set() -> None:
    forms = {form_of(case).form_id: form_of(case) for case in _written("gate").cases}
    assert all(form_of(case) == forms[form_of(case).form_id] for case in CALLS)


def test_the_labels_themselves_see_every_change_and_a_constant_listener_none() -> None:
    cases = [case for pair in PAIRS for case in pair]
    right = count_pairs(cases, [_answered(case, None) for case in cases])
    assert (right.changed, right.both_right, right.of) == (35, 35, 35)
    assert (right.kept_alike, right.kept_right, right.kept_of) == (10, 10, 10)
    constant = count_pairs(cases, [_answered(case, "yes") for case in cases])
    assert (constant.changed, constant.both_right, constant.kept_alike) == (0, 0, 10)


def test_another_task_has_no_such_calls() -> None:
    with pytest.raises(HarnessError, match="'summarize' has no hold-out calls"):
        holdout_page("summarize", Settings())
