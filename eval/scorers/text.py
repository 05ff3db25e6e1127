"""Overlap with references: sentence BLEU, chrF++ and ROUGE-L per case; corpus BLEU and chrF++ for resampling.

BLEU (Papineni et al. 2002) and chrF++ (Popovic 2017) are sacrebleu's (Post 2018), 0 to 100; ROUGE-L (Lin 2004) is F1 on
words without stemming, 0 to 1. All take any number of references per case.
"""

import re
from collections.abc import Callable, Sequence
from itertools import zip_longest
from typing import Final

import numpy as np
from rapidfuzz.distance import LCSseq
from sacrebleu.metrics.bleu import BLEU
from sacrebleu.metrics.chrf import CHRF

from eval.results import Score
from eval.scorers.base import ScorerContext, unscored
from figures.arrays import Floats

_WORD = re.compile(r"[a-z0-9]+")  # as Google's rouge-score splits; that package imports nltk and scikit-learn, 1.2 s
_WORD_ORDER: Final = 2  # chrF with word bigrams is chrF++


class TextScorer:
    """Scores ``bleu`` and ``chrf`` (sentence level, 0 to 100) and ``rouge_l`` (0 to 1); unscored without references."""

    name = "text"
    reads_references = True
    scores = ("bleu", "chrf", "rouge_l")

    def __init__(self) -> None:
        # A summary shorter than four tokens has no 4-grams; the effective order keeps it from being 0 by definition.
        self._bleu = BLEU(effective_order=True)
        self._chrf = CHRF(word_order=_WORD_ORDER)

    def score(self, context: ScorerContext) -> dict[str, Score]:
        """Return the three scores of the output against the case's references."""
        references = list(context.case.expectations.references)
        if not references:
            return unscored(self.scores, "the case has no references")
        return {
            "bleu": Score(value=float(self._bleu.sentence_score(context.output, references).score)),
            "chrf": Score(value=float(self._chrf.sentence_score(context.output, references).score)),
            "rouge_l": Score(value=rouge_l(context.output, references)),
        }


def rouge_l(output: str, references: Sequence[str]) -> float:
    """Return the best ROUGE-L F1 (0 to 1) over ``references`` (at least one), on lower-case words without stemming."""
    return max(_rouge_l(_WORD.findall(output.lower()), _WORD.findall(reference.lower())) for reference in references)


def _rouge_l(output: list[str], reference: list[str]) -> float:
    common = LCSseq.similarity(output, reference)
    return 2 * common / (len(output) + len(reference)) if common else 0.0


class CorpusMetric:
    """Corpus BLEU or chrF++ of resampled cases, from statistics that are counted once per case.

    ``weighted_scores`` equals sacrebleu's ``corpus_score`` on the resampled texts: a corpus score depends on the texts only
    through the sums of their n-gram counts.
    """

    def __init__(
        self,
        name: str,
        outputs: Sequence[str],
        references: Sequence[Sequence[str]],
        cases: Sequence[str] | None = None,
    ) -> None:
        """Count the statistics.

        Args:
            name: ``bleu`` or ``chrf`` (which is chrF++).
            outputs: one text per answer; "" is allowed.
            references: per answer at least one text; numbers may differ.
            cases: which case each answer is of, when cases were answered more than once: the statistics of a case are then the
                mean of its answers', in order of first appearance. Default: each answer is a case.

        Raises:
            ValueError: unknown name, no answers, lengths differ, or an answer without references.
        """
        if name not in _FROM_SUMS:
            raise ValueError(f"no corpus metric {name!r}; known: {', '.join(sorted(_FROM_SUMS))}")
        if not outputs or len(outputs) != len(references) or not all(references):
            raise ValueError(
                f"corpus {name} needs one output and at least one reference per case; got {len(outputs)} outputs, "
                f"{len(references)} reference lists, {sum(1 for r in references if not r)} of them empty"
            )
        metric = BLEU() if name == "bleu" else CHRF(word_order=_WORD_ORDER)
        # sacrebleu wants one stream per reference number; None marks a case without that one. The per-segment
        # statistics have no public accessor (2.6.0); a test compares the result with its public corpus_score.
        streams = [list(stream) for stream in zip_longest(*references)]
        counted: Floats = np.array(metric._extract_corpus_statistics(list(outputs), streams), dtype=np.float64)
        self.statistics = counted if cases is None else _mean_per_case(counted, cases)
        self.from_sums = _FROM_SUMS[name]
        self.name = name
        self.signature = str(metric.get_signature())

    def weighted_scores(self, weights: Floats) -> Floats:
        """Return the corpus score, 0 to 100, of each row of ``weights``: how often each case counts.

        Args:
            weights: shape ``(n_resamples, n_cases)``.

        Returns:
            shape ``(n_resamples,)``.
        """
        return self.from_sums(weights @ self.statistics)


def _mean_per_case(statistics: Floats, cases: Sequence[str]) -> Floats:
    places = {case: place for place, case in enumerate(dict.fromkeys(cases))}
    member = np.zeros((len(places), len(statistics)))
    member[[places[case] for case in cases], np.arange(len(statistics))] = 1.0
    means: Floats = member @ statistics / member.sum(axis=1, keepdims=True)
    return means


def bleu_from_sums(sums: Floats) -> Floats:
    """BLEU, smoothed exponentially, of rows ``[hyp_len, ref_len, correct 1..4, total 1..4]``; as in compute_bleu."""
    hypothesis, reference = sums[:, 0], sums[:, 1]
    order = (sums.shape[1] - 2) // 2
    correct, total = sums[:, 2 : 2 + order], sums[:, 2 + order :]
    # Each order without a match counts as half, a quarter, ... of one match.
    halvings = 2.0 ** np.cumsum(correct == 0, axis=1)
    matches = np.where(correct > 0, correct, 1.0 / halvings)
    with np.errstate(divide="ignore", invalid="ignore"):
        log_precision = np.log(100.0 * matches / total).mean(axis=1)
        brevity = np.where(hypothesis < reference, np.exp(1.0 - reference / hypothesis), 1.0)
        score = brevity * np.exp(log_precision)
    defined = correct.any(axis=1) & (total > 0).all(axis=1)
    return np.where(defined, score, 0.0)


def _chrf_from_sums(sums: Floats) -> Floats:
    """Mean-then-F chrF, beta 2, of ``[hyp, ref, match]`` per order; an order absent on either side is left out."""
    triples = sums.reshape(len(sums), -1, 3)
    hypothesis, reference, match = triples[..., 0], triples[..., 1], triples[..., 2]
    present = (hypothesis > 0) & (reference > 0)
    orders = np.maximum(present.sum(axis=1), 1)
    precision = np.where(present, match / np.maximum(hypothesis, 1.0), 0.0).sum(axis=1) / orders
    recall = np.where(present, match / np.maximum(reference, 1.0), 0.0).sum(axis=1) / orders
    weighted = CHRF.BETA**2 * precision + recall
    return np.where(
        weighted > 0, 100.0 * (1 + CHRF.BETA**2) * precision * recall / np.where(weighted > 0, weighted, 1.0), 0.0
    )


_FROM_SUMS: dict[str, Callable[[Floats], Floats]] = {"bleu": bleu_from_sums, "chrf": _chrf_from_sums}
