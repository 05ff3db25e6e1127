"""What accounts for the free texts of a scorecard: the transcript, under its speakers, and the form's own wordings."""

from collections.abc import Iterator
from functools import lru_cache

from eval.spine.accounts import FreeText
from eval.spine.scorer import ScorerContext
from eval.suites.scorecard.labels import card_of
from service.core.statements.accounting.source import AccountSource, SourceStatement
from service.core.tasks.scorecard import ScorecardInputs
from service.core.tasks.scorecard.keywords import MATCHED, NOT_ENOUGH, NOT_SAID

_SAYS = ("says", "said", "asks", "asked", "answers", "answered")


def free_texts_of(context: ScorerContext) -> tuple[FreeText, ...]:
    """Return summary, outcome, action items and the reason of each verdict; quotes are verified on their own."""
    assert isinstance(context.inputs, ScorecardInputs)
    card, source = card_of(context.output), source_of(context.inputs)
    texts = [("summary", card.summary), ("outcome", card.outcome)]
    texts += [(f"action item {number}", text) for number, text in enumerate(card.action_items, 1)]
    texts += [(f"reason of {item.id}", item.reason) for item in card.criteria]
    return tuple(FreeText(text=text, source=source, place=place) for place, text in texts if text.strip())


@lru_cache(maxsize=512)
def source_of(inputs: ScorecardInputs) -> AccountSource:
    """Return the turns of the call, and the wordings that the form and the keyword baseline give as reasons."""
    return AccountSource((*_wordings(inputs), *_turns(inputs)))


def _turns(inputs: ScorecardInputs) -> Iterator[SourceStatement]:
    for turn in inputs.turns:
        who = f"The {turn.speaker}"
        heads = tuple(f"{who} {verb}" for verb in _SAYS)
        yield SourceStatement(text=turn.text, heads=(who, turn.speaker, *heads))


def _wordings(inputs: ScorecardInputs) -> Iterator[SourceStatement]:
    for text in (MATCHED, NOT_ENOUGH, NOT_SAID):
        yield SourceStatement(text=text, how="label")
    for criterion in inputs.form.criteria():
        if criterion.condition is not None:
            text = f"does not apply: it is not so that {criterion.condition.said()}"
            yield SourceStatement(text=text, how="label")
