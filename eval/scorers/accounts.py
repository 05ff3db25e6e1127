"""Scores how much of an answer its source accounts for, and keeps every sentence for readers and reports."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from eval.spine.accounts import ACCOUNTED, FreeText, SentenceAccount, SentenceState
from eval.spine.cases import Case
from eval.spine.pool import Pool
from eval.spine.results import CaseResult, Score, sentences_of
from eval.spine.scorer import ScorerContext
from eval.spine.suite import Floor, MetricSpec, NoWorse
from figures.metric import Unit
from service.core.statements.accounting.account import account

if TYPE_CHECKING:  # numpy takes 0.1 s to import, and suites are declared before the calls start
    from figures.arrays import Floats


class AccountScorer:
    """Gives ``accounted``, the share of an answer's sentences that code accounts for, with the sentences themselves.

    ``texts_of`` returns the free texts of an answer with their sources. A sentence that nothing accounts for is no fault, so
    there are no findings: it is one to be read.
    """

    name = "accounts"
    scores = (ACCOUNTED,)

    def __init__(self, texts_of: Callable[[ScorerContext], tuple[FreeText, ...]]) -> None:
        self.free_texts = texts_of

    def score(self, context: ScorerContext) -> dict[str, Score]:
        """Return the score; it does not apply to an answer without sentences."""
        found = tuple(
            SentenceAccount(text=one.text, how=one.how, statement=one.statement, place=text.place, novelty=one.novelty)
            for text in self.free_texts(context)
            for one in account(text.text, text.source)
        )
        if not found:
            return {ACCOUNTED: Score(value=None, unscored="it holds no sentence", applies=False)}
        known = sum(one.how is not None for one in found)
        rationale = f"{known} of {len(found)} sentences accounted for"
        return {ACCOUNTED: Score(value=known / len(found), rationale=rationale, sentences=found)}


@dataclass(frozen=True, slots=True, kw_only=True)
class _OfSentences:
    """A ratio of counts over sentences; draws are of cases, whose sentences depend on each other."""

    bounds: tuple[float, float] = (0.0, 1.0)

    def figures(self, names: Sequence[str], sums: "Floats") -> "Floats":
        """Return ``of / among`` per row, NaN where ``among`` is 0."""
        import numpy as np

        columns = dict(zip(names, sums.T, strict=True))
        none = np.zeros(len(sums))
        of, among = columns.get("of", none), columns.get("among", none)
        share: Floats = np.divide(of, among, out=np.full(len(sums), math.nan), where=among > 0)
        return share


@dataclass(frozen=True, slots=True, kw_only=True)
class SentencesIn(_OfSentences):
    """The share of all sentences of all answers that are in ``state``."""

    state: SentenceState

    def counts_scored(self, case: Case, items: Sequence[CaseResult]) -> Mapping[str, float]:
        """Return the sentences of a case's answers, averaged over its repeats."""
        found = sentences_of(items)
        return _averaged(sum(one.state == self.state for one in found), len(found), items)


@dataclass(frozen=True, slots=True, kw_only=True)
class Novelty(_OfSentences):
    """The mean over all sentences of the share of their words that the source lacks; 0 where code accounts for a sentence."""

    def counts_scored(self, case: Case, items: Sequence[CaseResult]) -> Mapping[str, float]:
        """Return the sum over the sentences of a case's answers, averaged over its repeats."""
        found = sentences_of(items)
        return _averaged(sum(one.novelty for one in found), len(found), items)


def _averaged(of: float, among: int, items: Sequence[CaseResult]) -> Mapping[str, float]:
    return {"of": of / len(items), "among": among / len(items)} if among else {}


SENTENCE_POOLS: Mapping[str, Pool] = {
    "sentences_accounted": SentencesIn(state="accounted"),
    "sentences_read": SentencesIn(state="read"),
    "sentences_unread": SentencesIn(state="unread"),
    "sentences_unsupported": SentencesIn(state="unsupported"),
    "novelty": Novelty(),
}
_LESS_IS_BETTER = frozenset({"sentences_unread", "sentences_unsupported", "novelty"})
SENTENCE_METRICS = tuple(
    MetricSpec(name=name, kind="pooled", score=name, unit=Unit.RATE, higher_is_better=name not in _LESS_IS_BETTER)
    for name in SENTENCE_POOLS
)
# What code accounts for differs by author more than by quality, so it has no bound; what nobody read is bounded by the stage
# (``service.core.release.unseen``), because the verdict without it still holds for form and figures.
SENTENCE_FLOORS = (
    Floor(
        metric="sentences_unsupported",
        bound=0.10,
        reason="a sentence that a reader finds without support may be acted on; 0 of 40 cases shows at most 9%",
    ),
)
SENTENCE_MARGINS = (
    NoWorse(
        metric="sentences_unsupported",
        margin=0.03,
        reason="three sentences in a hundred; 200 cases decide no less",
    ),
)
# Not for scorecards, whose reasons speak of the form: good ones have 0.70, those of another call 0.77 (gate set, 2026-11-24).
NOVELTY_FLOOR = Floor(
    metric="novelty",
    bound=0.60,
    reason="loose, for a first release: six good authors of summaries have 0.28 to 0.41, another customer's story 0.89, and true "
    "replies of the assistant 0.28 (gate and dev sets, 2026-11-24)",
)
NOVELTY_MARGIN = NoWorse(
    metric="novelty",
    margin=0.45,
    reason="authors differ by more than faults do, and a digest that copies has 0: this sees other matters, not other styles",
)
