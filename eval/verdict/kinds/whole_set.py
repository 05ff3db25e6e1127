"""Kinds whose figure is computed over all cases at once: corpus scores of texts, and ratios or kappa of counts."""

from collections.abc import Mapping, Sequence
from functools import lru_cache

import numpy as np

from eval.scorers.corpus import CorpusMetric, corpus_signature
from eval.spine.cases import Case
from eval.spine.pool import ScoredPool
from eval.spine.results import CaseResult
from eval.spine.suite import MetricSpec
from eval.verdict.kinds.kind import ArmAnswers, ComparedAnswers, Difference, Measured, MetricKind, ScoredReference
from eval.verdict.paired import difference_interval, randomisation_test
from eval.verdict.pooled import pooled, pooled_difference, pooled_interval, pooled_value
from figures.stats import Interval, percentile_interval, resample_weights, resamples_at

_NO_OVERLAP = "production's answers share no n-gram with the references"


@lru_cache(maxsize=64)  # counting n-grams is the slow part; metrics, differences and interim looks share the counts
def _counted(
    name: str, outputs: tuple[str, ...], references: tuple[tuple[str, ...], ...], case_ids: tuple[str, ...]
) -> CorpusMetric:
    return CorpusMetric(name, outputs, references, case_ids)


def _corpus(spec: MetricSpec, results: Sequence[CaseResult], cases: Mapping[str, Case]) -> CorpusMetric:
    """Return the corpus figure of ``results`` (all with text and references), counted once per process."""
    return _counted(
        spec.name,
        tuple(item.result.output or "" for item in results),
        tuple(cases[item.case_id].expectations.references for item in results),
        tuple(item.case_id for item in results),
    )


def _with_text(results: Sequence[CaseResult], cases: Mapping[str, Case]) -> list[CaseResult]:
    """Return the answers with a text and references."""
    return [i for i in results if i.result.output is not None and cases[i.case_id].expectations.references]


def _score_of_all(corpus: CorpusMetric) -> float:
    return float(corpus.weighted_scores(np.ones((1, len(corpus.statistics))))[0])


class CorpusScore(MetricKind):
    """A figure over all texts and their references: BLEU, chrF++.

    A difference is a share of production's figure: two careful authors agree in 20 BLEU and a terse one in 9, so one margin in
    points would be lax for some systems and unreachable for others.
    """

    name = "corpus"
    relative = True

    def measure(self, spec: MetricSpec, answers: ArmAnswers) -> Measured:
        """Return the corpus score with its percentile bootstrap interval over cases."""
        usable = _with_text(answers.results, answers.cases)
        wanted = sum(1 for item in answers.results if answers.cases[item.case_id].expectations.references)
        unscored = answers.in_cases(wanted - len(usable))
        if not usable:
            return Measured(interval=None, unscored=unscored)
        corpus = _corpus(spec, usable, answers.cases)
        n = len(corpus.statistics)
        draws = corpus.weighted_scores(resample_weights(n, answers.suite.seed, resamples_at(answers.confidence)))
        interval = percentile_interval(_score_of_all(corpus), draws, n, confidence=answers.confidence)
        return Measured(interval=interval, unscored=unscored)

    def value_of(self, spec: MetricSpec, answers: ArmAnswers) -> float | None:
        """Return the corpus score."""
        usable = _with_text(answers.results, answers.cases)
        return _score_of_all(_corpus(spec, usable, answers.cases)) if usable else None

    def compare(self, spec: MetricSpec, answers: ComparedAnswers) -> Difference | None:
        """Return the difference on the cases for which both have a text, with a randomisation test."""
        cases, seed = answers.cases, answers.suite.seed
        sides = [_with_text(side, cases) for side in (answers.ours, answers.theirs)]
        both = {item.case_id for item in sides[0]} & {item.case_id for item in sides[1]}
        if not both:
            return Difference(interval=None)
        # One order of cases on both sides: statistics are paired by position.
        order = {case_id: place for place, case_id in enumerate(cases)}
        kept = [sorted((i for i in side if i.case_id in both), key=lambda i: order[i.case_id]) for side in sides]
        a, b = (_corpus(spec, side, cases) for side in kept)
        if float(b.weighted_scores(resample_weights(len(both), seed)).min()) <= 0:  # nothing to be a share of
            return Difference(interval=None, note=_NO_OVERLAP, comparable=False)
        return Difference(
            interval=difference_interval(
                a.weighted_scores, b.weighted_scores, len(both), seed=seed, confidence=answers.confidence, relative=True
            ),
            test=randomisation_test(a.statistics, b.statistics, a.from_sums, seed=seed),
        )

    def ceiling(self, spec: MetricSpec, cases: Sequence[Sequence[ScoredReference]], seed: int) -> Interval | None:
        """Return the corpus score of the references; the bootstrap draws cases, each with all of its texts."""
        flat = [text for texts in cases for text in texts]
        corpus = CorpusMetric(spec.name, [text.text for text in flat], [text.references for text in flat])
        weights = np.repeat(resample_weights(len(cases), seed), [len(texts) for texts in cases], axis=1)
        return percentile_interval(_score_of_all(corpus), corpus.weighted_scores(weights), len(cases))

    def signature(self, spec: MetricSpec, references: Sequence[Sequence[str]]) -> str:
        """Return sacrebleu's signature."""
        return corpus_signature(spec.name, references)


class PooledCounts(MetricKind):
    """A figure of counts over all cases; ``score`` names the suite's pool."""

    name = "pooled"

    def measure(self, spec: MetricSpec, answers: ArmAnswers) -> Measured:
        """Return the figure with its interval over cases."""
        pool = answers.suite.pools[spec.score]
        side = pooled(pool, answers.results, answers.cases)
        interval = pooled_interval(side, seed=answers.suite.seed, confidence=answers.confidence)
        unscored = len(side.uncounted) if isinstance(pool, ScoredPool) else answers.failed_cases
        return Measured(interval=interval, unscored=unscored, note=side.note)

    def value_of(self, spec: MetricSpec, answers: ArmAnswers) -> float | None:
        """Return the figure; without its interval, which takes most of the time."""
        return pooled_value(pooled(answers.suite.pools[spec.score], answers.results, answers.cases))

    def compare(self, spec: MetricSpec, answers: ComparedAnswers) -> Difference | None:
        """Return the difference on the cases that both have counts of."""
        pool = answers.suite.pools[spec.score]
        ours, theirs = (pooled(pool, side, answers.cases) for side in (answers.ours, answers.theirs))
        interval = pooled_difference(
            ours, theirs, answers.cases, seed=answers.suite.seed, confidence=answers.confidence
        )
        if not isinstance(pool, ScoredPool):
            return Difference(interval=interval)
        to_compare = {*ours.case_ids, *ours.uncounted} & {*theirs.case_ids, *theirs.uncounted}
        return Difference(interval=interval, to_compare=len(to_compare))
