"""The labels of a call: a verdict and evidence per criterion, how the call ended, the tone of both speakers."""

from collections.abc import Iterator, Sequence
from functools import lru_cache

from pydantic import BaseModel, ConfigDict, Field

from eval.spine.cases import Case, Expectations
from eval.spine.scorer import parsed_output
from service.core.run.task import TaskResult
from service.core.tasks.scorecard import ScorecardInputs
from service.core.tasks.scorecard.arithmetic import Rating, Total, add_up
from service.core.tasks.scorecard.card import CriterionResult, Scorecard
from service.core.tasks.scorecard.evidence import shared_words
from service.core.tasks.scorecard.form import Form
from service.core.tasks.scorecard.reading import AgentTone, CustomerTone, Resolution
from service.core.tasks.scorecard.transcript import Turn

# A quote of other words of the right turn shows nothing: "and is there anything" of a turn that names the fee.
_SHARED = 0.5


class LabelSpan(BaseModel):
    """Words of one turn that show a verdict, too."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    turn: int = Field(ge=0)
    quote: str


class Label(BaseModel):
    """The right answer to one criterion; ``turn`` and ``quote`` are its evidence, None if it rests on something not said.

    ``also`` are other words that show it as well, in the same turn or in another.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    verdict: Rating
    turn: int | None = Field(default=None, ge=0)
    quote: str | None = None
    why: str = ""
    # Left out where empty: a dataset keeps the digest that its evidence names.
    also: tuple[LabelSpan, ...] = Field(default=(), exclude_if=lambda also: not also)

    @property
    def spans(self) -> tuple[LabelSpan, ...]:
        """All words that show the verdict, the first ones first."""
        if self.turn is None or self.quote is None:
            return ()
        return (LabelSpan(turn=self.turn, quote=self.quote), *self.also)


class ToneLabel(BaseModel):
    """The tone of customer and agent over most of the call."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    customer: CustomerTone | None = None
    agent: AgentTone | None = None


class ScorecardExpectations(Expectations):
    """The labels of one call; without ``answers`` the call cannot be scored."""

    answers: dict[str, Label] = Field(default_factory=dict)
    resolution: Resolution | None = None
    tone: ToneLabel = ToneLabel()


def labels_of(case: Case) -> ScorecardExpectations:
    """Return the case's labels.

    Raises:
        TypeError: the case was not read as a scorecard's.
    """
    if not isinstance(case.expectations, ScorecardExpectations):
        raise TypeError(f"case {case.id!r} has no scorecard labels")
    return case.expectations


def card_of(output: str) -> Scorecard:
    """Return the output parsed as a scorecard."""
    return parsed_output(output, Scorecard)


def form_of(case: Case) -> Form:
    """Return the form that the call was scored with."""
    return _read(_Same(case)).form


def answered_pairs(case: Case, result: TaskResult) -> Iterator[tuple[Label, CriterionResult]]:
    """Yield, for each labelled criterion of the answer's scorecard, its label and its answer."""
    labels = labels_of(case).answers
    for item in card_of(result.output or "").criteria:
        if item.id in labels:
            yield labels[item.id], item


def turns_of(case: Case) -> tuple[Turn, ...]:
    """Return the turns of the call."""
    return _read(_Same(case)).turns


class _Same:
    """A case as a key: equal to itself alone, and never compared by its contents."""

    def __init__(self, case: Case) -> None:
        self.case = case

    def __hash__(self) -> int:
        return id(self.case)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Same) and self.case is other.case


# A score asks for form and turns some fifty times an answer, and reading them takes half a millisecond.
@lru_cache(maxsize=512)
def _read(same: _Same) -> ScorecardInputs:
    return ScorecardInputs.model_validate(same.case.inputs)


def in_labelled_turn(item: CriterionResult, label: Label) -> bool:
    """Return whether the verdict is right and rests on a turn that is labelled for it."""
    return (
        item.verdict == label.verdict
        and item.evidence == "verified"
        and any(item.turn == span.turn for span in label.spans)
    )


def shows(item: CriterionResult, label: Label, turns: Sequence[Turn]) -> bool:
    """Return whether the words that ``item`` quotes are among the labelled ones: half of the shorter of the two, at least."""
    return any(
        item.turn == span.turn and shared_words(turns[span.turn].text, item.quote, span.quote) >= _SHARED
        for span in label.spans
    )


def labelled_total(case: Case) -> Total | None:
    """Return the score that the labels add up to, None if a criterion is not labelled."""
    form, answers = form_of(case), labels_of(case).answers
    if {criterion.id for criterion in form.criteria()} != set(answers):
        return None
    return add_up(form, {name: label.verdict for name, label in answers.items()})
