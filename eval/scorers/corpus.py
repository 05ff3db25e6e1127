"""Corpus BLEU and chrF++ of resampled cases, from statistics that are counted once per case."""

from collections.abc import Callable, Sequence

import numpy as np
from sacrebleu.metrics.bleu import BLEU
from sacrebleu.metrics.chrf import CHRF

from eval.scorers.text import WORD_ORDER, match_statistics
from figures.arrays import Floats


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
        counted: Floats = np.array(
            [match_statistics(name, *pair) for pair in zip(outputs, map(tuple, references), strict=True)],
            dtype=np.float64,
        )
        self.statistics = counted if cases is None else _mean_per_case(counted, cases)
        self.from_sums = _FROM_SUMS[name]
        self.name = name

    def weighted_scores(self, weights: Floats) -> Floats:
        """Return the corpus score, 0 to 100, of each row of ``weights``: how often each case counts.

        Args:
            weights: shape ``(n_resamples, n_cases)``.

        Returns:
            shape ``(n_resamples,)``.
        """
        return self.from_sums(weights @ self.statistics)


def corpus_signature(name: str, references: Sequence[Sequence[str]]) -> str:
    """Return sacrebleu's signature of ``bleu`` or ``chrf`` over answers with these references."""
    metric = BLEU() if name == "bleu" else CHRF(word_order=WORD_ORDER)
    numbers = {len(texts) for texts in references}
    metric.num_refs = numbers.pop() if len(numbers) == 1 else -1  # as `corpus_score` sets it; -1 is shown as "var"
    return str(metric.get_signature())


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
