"""Overlap of one answer with its references: sentence BLEU, chrF++ and ROUGE-L.

BLEU (Papineni et al. 2002) and chrF++ (Popovic 2017) are sacrebleu's (Post 2018), 0 to 100; ROUGE-L (Lin 2004) is F1 on
words without stemming, 0 to 1. All take any number of references per case.
"""

import re
from collections.abc import Sequence
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Final

from rapidfuzz.distance import LCSseq

from eval.spine.results import Score
from eval.spine.scorer import ScorerContext, unscored

if (
    TYPE_CHECKING
):  # numpy comes with sacrebleu, and the process that declares a suite's scorers is not the one that scores
    from sacrebleu.metrics.base import Metric

_WORD = re.compile(r"[a-z0-9]+")  # as Google's rouge-score splits; that package imports nltk and scikit-learn, 1.2 s
WORD_ORDER: Final = 2  # chrF with word bigrams is chrF++


class TextScorer:
    """Scores ``bleu`` and ``chrf`` (sentence level, 0 to 100) and ``rouge_l`` (0 to 1); unscored without references."""

    name = "text"
    reads_references = True
    scores = ("bleu", "chrf", "rouge_l")
    needs_labels = True

    def score(self, context: ScorerContext) -> dict[str, Score]:
        """Return the three scores of the output against the case's references."""
        references = tuple(context.case.expectations.references)
        if not references:
            return unscored(self.scores, "the case has no references")
        return {
            "bleu": Score(value=sentence_score("bleu", context.output, references)),
            "chrf": Score(value=sentence_score("chrf", context.output, references)),
            "rouge_l": Score(value=rouge_l(context.output, references)),
        }


def sentence_score(name: str, output: str, references: tuple[str, ...]) -> float:
    """Return sacrebleu's ``sentence_score``, 0 to 100, of ``bleu`` or ``chrf``."""
    return float(_metric(name)._compute_score_from_stats(list(match_statistics(name, output, references))).score)


@lru_cache(
    maxsize=20_000
)  # counting n-grams is the dear part: scores, corpus figures, differences and the report share it
def match_statistics(name: str, output: str, references: tuple[str, ...]) -> tuple[float, ...]:
    """Return the n-gram counts of one output and its references (at least one), which ``bleu`` or ``chrf`` is computed from.

    They have no public accessor in sacrebleu (2.6.0); tests compare what is made of them with its public scores.
    """
    streams = [[reference] for reference in references]
    (counts,) = _metric(name)._extract_corpus_statistics([output], streams)
    return tuple(counts)


@cache
def _metric(name: str) -> "Metric":
    from sacrebleu.metrics.bleu import BLEU
    from sacrebleu.metrics.chrf import CHRF

    # A summary shorter than four tokens has no 4-grams; the effective order keeps its BLEU from being 0 by definition.
    return BLEU(effective_order=True) if name == "bleu" else CHRF(word_order=WORD_ORDER)


def rouge_l(output: str, references: Sequence[str]) -> float:
    """Return the best ROUGE-L F1 (0 to 1) over ``references`` (at least one), on lower-case words without stemming."""
    return max(_rouge_l(_WORD.findall(output.lower()), _WORD.findall(reference.lower())) for reference in references)


def _rouge_l(output: list[str], reference: list[str]) -> float:
    common = LCSseq.similarity(output, reference)
    return 2 * common / (len(output) + len(reference)) if common else 0.0
