"""Contrast pairs of scorecards: what the shipped set holds, and that only a pair that hears the one sentence is right."""

from collections.abc import Callable
from typing import Any

import pytest

from eval.spine.cases import Case, load_cases
from eval.spine.results import CaseResult
from eval.suites.scorecard.labels import Label, ScorecardExpectations
from eval.suites.scorecard.pairs import BASE, EDIT, EDITED, EDITS, PAIR, SIDE, PairsRight
from eval.verdict.pooled import pooled, pooled_interval
from service.core.run.task import TaskResult
from service.core.tasks.scorecard import ScorecardInputs
from service.core.tasks.scorecard.card import make_card
from service.core.tasks.scorecard.evidence import find_quote
from service.core.tasks.scorecard.reading import Reading
from service.core.tasks.scorecard.windows import plan
from service.kit.settings import REPO_ROOT


def _load(name: str) -> tuple[Case, ...]:
    path = REPO_ROOT / "datasets" / "scorecard" / f"{name}.jsonl"
    return load_cases(path, input_model=ScorecardInputs, expectations=ScorecardExpectations).cases


ORIGINALS = {case.id: case for name in ("dev", "gate") for case in _load(name)}
CASES = _load("contrasts")
SIDES = {(str(case.slices[PAIR]), str(case.slices[SIDE])): case for case in CASES}
PAIRS = tuple(dict.fromkeys(pair for pair, _ in SIDES))


def _label(case: Case) -> tuple[str, Label]:
    assert isinstance(case.expectations, ScorecardExpectations)
    ((name, label),) = case.expectations.answers.items()
    return name, label


def _card(case: Case, verdict: str) -> str:
    inputs = ScorecardInputs.model_validate(case.inputs)
    answers: dict[str, Any] = {criterion.id: {"verdict": verdict} for criterion in inputs.form.criteria()}
    parts = plan(inputs.turns, inputs.form, budget=None, answer_tokens=9000)
    reading = Reading.model_validate({"valid": True, "answers": answers})
    return make_card("c", inputs.form, inputs.turns, parts, [reading]).model_dump_json()


def _share(answer: Callable[[Case], str], cases: tuple[Case, ...] = CASES) -> float | None:
    results = [
        CaseResult(
            case_id=case.id,
            arm="primary",
            repeat=0,
            result=TaskResult(
                output=_card(case, answer(case)), arm="primary", model="m", answered_by="m", latency_ms=1.0
            ),
            live=True,
        )
        for case in cases
    ]
    interval = pooled_interval(pooled(PairsRight(), results, {case.id: case for case in cases}), seed=1)
    return None if interval is None else interval.value


@pytest.mark.parametrize("pair", PAIRS)
@pytest.mark.acceptance("call-gate-08")
def test_one_sentence_differs_and_the_labels_say_what_it_decides(pair: str) -> None:
    base, edited = SIDES[pair, BASE], SIDES[pair, EDITED]
    original = ORIGINALS[pair.rpartition("-c")[0]]
    assert base.inputs == original.inputs
    (name, was), (also, now) = _label(base), _label(edited)
    assert name == also
    assert isinstance(original.expectations, ScorecardExpectations)
    assert was == original.expectations.answers[name]
    turns, others = base.inputs["turns"], edited.inputs["turns"]
    assert len(turns) == len(others)
    changed = [place for place, turn in enumerate(turns) if turn != others[place]]
    assert len(changed) == 1
    kind = edited.slices[EDIT]
    assert kind in EDITS
    if kind in ("kept", "other_speaker"):
        assert now.verdict == was.verdict
    if kind in ("removed", "added"):
        assert now.verdict != was.verdict
    speaker = turns[changed[0]]["speaker"]
    assert (speaker == "customer") == (kind == "other_speaker")
    if now.verdict == "yes":
        read = ScorecardInputs.model_validate(edited.inputs)
        assert now.turn == changed[0]
        assert find_quote(now.quote or "", now.turn, read.turns).turn == now.turn


@pytest.mark.acceptance("call-gate-08")
def test_hearing_the_sentence_is_right_and_a_constant_answer_is_not() -> None:
    assert _share(lambda case: _label(case)[1].verdict) == 1.0
    # Whoever answers everything alike is right where the edit changes nothing, and nowhere else.
    flips = [pair for pair in PAIRS if _label(SIDES[pair, BASE])[1].verdict != _label(SIDES[pair, EDITED])[1].verdict]
    assert len(flips) > 0.6 * len(PAIRS)
    alike = _share(lambda case: _label(SIDES[str(case.slices[PAIR]), BASE])[1].verdict)
    assert alike == pytest.approx(1 - len(flips) / len(PAIRS))
    assert (_share(lambda case: "yes") or 0) < 0.2
    assert (_share(lambda case: "no") or 0) < 0.2


def test_one_wrong_side_costs_the_pair_and_a_side_alone_is_none() -> None:
    two = tuple(case for case in CASES if case.slices[PAIR] in PAIRS[:2])
    wrong = next(case.id for case in two if case.slices[SIDE] == EDITED)
    other = {"yes": "no", "no": "yes"}
    right = {case.id: _label(case)[1].verdict for case in two}
    assert _share(lambda case: right[case.id], two) == 1.0
    assert _share(lambda case: other[right[case.id]] if case.id == wrong else right[case.id], two) == 0.5
    assert _share(lambda case: right[case.id], two[:1]) is None
