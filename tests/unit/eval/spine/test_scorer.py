"""Scorers under failure: a failed answer and a crash become unscored values; the scorer of answers takes any source."""

import dataclasses
from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from pydantic import BaseModel

from eval.scorers import AnswerScorer, FactScorer, ScorerContext, StructureScorer, TextScorer, safe_score
from eval.spine.cases import Case
from eval.spine.results import Score
from eval.spine.scorer import Scorer, crash_of
from service.core.run.task import TaskResult
from service.core.statements.answers.reading import AnswerSource
from service.core.unit.interaction import Interaction
from service.kit.frame.errors import FailureCode

AS_OF = datetime(2026, 11, 20, tzinfo=UTC)


class _Inputs(BaseModel):
    text: str = "The fee is $45."


def _context(output: str = "The fee is $45.", failure: FailureCode | None = None) -> ScorerContext:
    result = TaskResult(
        output=None if failure else output, arm="primary", model="m", answered_by="m", latency_ms=1.0, failure=failure
    )
    return ScorerContext(
        case=Case(id="c-1", inputs={}), inputs=_Inputs(), result=result, output="" if failure else output
    )


def _source_of(inputs: BaseModel) -> AnswerSource:
    assert isinstance(inputs, _Inputs)
    item = Interaction(interaction_id="i1", channel="agent", timestamp=AS_OF, intent="HighBill", text=inputs.text)
    return AnswerSource([item], as_of=AS_OF)


class _Broken:
    name = "broken"
    scores = ("one", "two")

    def __init__(self, act: Callable[[], dict[str, Score]]) -> None:
        self._act = act

    def score(self, context: ScorerContext) -> dict[str, Score]:
        return self._act()


def _raise() -> dict[str, Score]:
    raise RuntimeError("no such thing")


def test_a_crash_is_unscored_with_class_and_message_under_every_name() -> None:
    scores = safe_score(_Broken(_raise), _context())
    assert set(scores) == {"one", "two"}
    (told,) = {score.unscored for score in scores.values()}
    assert told is not None
    assert told.startswith(
        "broken crashed: RuntimeError: no such thing (raised at tests/unit/eval/spine/test_scorer.py:"
    )
    assert crash_of(scores["one"]) == ("broken", told.removeprefix("broken crashed: "))
    assert crash_of(Score(value=None, unscored="no answer: TIMEOUT")) is None
    assert all(score.value is None for score in scores.values())


def test_scores_under_other_names_than_declared_are_a_crash() -> None:
    scores = safe_score(_Broken(lambda: {"one": Score(value=1.0)}), _context())
    assert set(scores) == {"one", "two"}
    assert "returned the scores ['one'], and its `scores` declares ['one', 'two']" in str(scores["one"].unscored)


@pytest.mark.parametrize("code", list(FailureCode))
def test_a_failed_answer_is_never_scored(code: FailureCode) -> None:
    scorers: list[Scorer] = [
        TextScorer(),
        AnswerScorer(_source_of),
        FactScorer(),
        StructureScorer(min_words=1, max_words=9),
        _Broken(_raise),
    ]
    for scorer in scorers:
        scores = safe_score(scorer, _context(failure=code))
        assert set(scores) == set(scorer.scores)
        assert {score.unscored for score in scores.values()} == {f"no answer: {code.value}"}


def test_keyboard_interrupt_is_not_swallowed() -> None:
    def interrupt() -> dict[str, Score]:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        safe_score(_Broken(interrupt), _context())


def test_every_scorer_returns_what_it_declares_for_an_empty_output() -> None:
    scorers: list[Scorer] = [
        TextScorer(),
        AnswerScorer(_source_of),
        FactScorer(),
        StructureScorer(min_words=1, max_words=9),
    ]
    names = [name for scorer in scorers for name in safe_score(scorer, _context(""))]
    assert names == [name for scorer in scorers for name in scorer.scores]
    assert len(names) == len(set(names))


def test_grounded_output_scores_one() -> None:
    scores = AnswerScorer(_source_of).score(_context())
    assert scores["grounded"].value == scores["grounded_amounts"].value == 1.0
    assert scores["grounded"].findings == ()
    assert scores["grounded"].rationale == "1 of 1 mentions found in the source"


def test_an_invented_amount_lowers_both_and_is_named() -> None:
    scores = AnswerScorer(_source_of).score(_context("The $54 fee stays. All is well."))
    assert scores["grounded"].value == scores["grounded_amounts"].value == 0.0
    assert scores["grounded_amounts"].findings == ("amount $54 is in no interaction: 'The $54 fee stays.'",)


def test_an_invented_date_leaves_amounts_alone() -> None:
    scores = AnswerScorer(_source_of).score(_context("The $45 fee is from May 3."))
    assert scores["grounded"].value == 0.0
    assert scores["grounded_amounts"].value == 1.0
    assert scores["grounded"].rationale == "1 of 2 mentions found in the source"


def test_a_rejected_answer_has_no_score_but_its_inventions_are_named() -> None:
    scorer = AnswerScorer(_source_of)
    context = _context(failure=FailureCode.OUTPUT_INVALID)
    context = dataclasses.replace(
        context, result=dataclasses.replace(context.result, raw_text="A $999 bonus is due and")
    )
    grounded = safe_score(scorer, context)["grounded"]
    assert (grounded.value, grounded.unscored) == (None, "no answer: OUTPUT_INVALID")
    assert any("$999" in finding for finding in grounded.findings)
