"""What calls say in words, in figures: a listener's summary brings in no figure of its own by writing them down."""

import pytest

from eval.labels.texts import load_call_texts
from eval.run.loaders import load_dataset
from eval.spine.scorer import ScorerContext
from eval.suites.scorecard.scorers import FigureScorer
from eval.suites.scorecard.spoken import in_figures
from service.core.run.task import TaskResult
from service.core.tasks.scorecard import TASK
from service.core.tasks.scorecard.card import Scorecard
from service.kit.settings import Settings


@pytest.mark.parametrize(
    ("said", "figures"),
    [
        ("Fifty-one pounds thirty-four, please.", {"£51.34"}),
        ("the bill of two hundred and ninety, in dollars", {"$290"}),
        ("nine ninety-five a month", {"9.95", "995"}),
        ("so two seventy-two dollars", {"$272"}),
        ("with us since nineteen seventy-eight", {"1978"}),
        ("seven point four percent", {"7.4"}),
        ("from Monday the twenty-third", {"23th"}),
        ("two grand to the garage", {"£2000", "$2000"}),
        ("yesterday at ten p.m.", {"10 p.m."}),
    ],
)
def test_spoken_numbers_are_written_as_a_listener_would(said, figures):
    assert figures <= set(in_figures([said]).split("; "))


@pytest.mark.parametrize("said", ["within thirty days", "over sixty months", "at seven percent"])
def test_what_is_counted_or_measured_is_no_sum_of_money(said):
    assert not set("£$€") & set(in_figures([said, "It costs a few pounds."]))


def test_a_call_without_numbers_in_words_says_none():
    assert in_figures(["Hello.", "It is 20 pounds."]) == ""


def _heard(case, summary):
    inputs = TASK.input_model.model_validate(case.inputs)
    card = Scorecard.model_construct(summary=summary, outcome="", action_items=(), criteria=())
    result = TaskResult(output="", arm="primary", model="m", answered_by="m", latency_ms=1.0)
    context = ScorerContext(case=case, inputs=inputs, result=result, output="card")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("eval.suites.scorecard.scorers.card_of", lambda output: card)
        return FigureScorer().score(context)["figures_heard"].value


def test_good_summaries_by_another_author_bring_in_hardly_a_figure_and_a_changed_one_does():
    """They were read when spoken numbers were added: the count keeps what was reached, and estimates nothing."""
    texts = load_call_texts()
    cases = load_dataset("gate", task="scorecard", input_model=TASK.input_model, settings=Settings()).cases
    known = {case.id: case for case in cases}
    assert len(texts) == 60
    assert sum(_heard(known[name], text) == 0 for name, text in texts.items()) <= 2
    assert all(_heard(known[name], f"{text} The customer paid £3,417.88.") == 0 for name, text in texts.items())
