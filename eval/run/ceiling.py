"""How far a good text can get: each reference scored against the case's others, and pairs by the same rule.

A figure of overlap means little alone: two careful authors word one summary differently. Each reference of a case that has
several is taken as if it were an output and scored against the rest (leave one out). A pair's own figure uses all
references and so has an easier task; ``pairs_like_for_like`` therefore scores each answer as often, against one reference
fewer, and takes the mean (the jackknife that Lin 2004, section 2.5, proposes for just this comparison).
"""

import hashlib
import json
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from eval.cases import Case
from eval.results import CaseResult
from eval.run.scoring import score_one
from eval.scorers.facts import FactScorer
from eval.scorers.text import CorpusMetric
from eval.suite import MetricSpec, Suite
from figures.metric import Metric, Unit
from figures.stats import Interval, mean_interval, percentile_interval, rate_interval, resample_weights
from service.canonical import sha256_hex
from service.task import TaskResult

_AUTHOR = "a reference"
# The first reference was written with the facts in hand, and `omni cases` checks that it carries them all: its coverage
# is 1 by construction. The further ones were written without sight of either.
_WITHOUT_FIRST = frozenset({"fact_coverage"})
# `omni cases` lets no reference state a forbidden claim, so that this is 1 by construction for all of them.
_BY_CONSTRUCTION = frozenset(FactScorer.scores) - _WITHOUT_FIRST


@dataclass(frozen=True, slots=True, kw_only=True)
class _Text:
    """One text in the place of an output, with the references that are left for it."""

    case: Case
    output: str
    first: bool  # whether it is the case's first reference
    known: Mapping[str, float | None] = field(
        default_factory=dict
    )  # scores of the same text that do not look at references


def reference_ceiling(suite: Suite, cases: Sequence[Case]) -> dict[str, Metric]:
    """Return the metrics of references scored against each other, with 95% intervals over cases; ``n`` counts cases.

    Covered: the suite's corpus, mean and rate metrics, apart from those that hold for references by construction. Empty
    when no case has two references.
    """
    texts = [
        [
            _Text(case=_with_references(case, _others(case, place)), output=reference, first=place == 0)
            for place, reference in enumerate(case.expectations.references)
        ]
        for case in _comparable(cases)
    ]
    return _metrics(suite, texts)


def kept_ceiling(folder: Path, suite: Suite, dataset_digest: str, cases: Sequence[Case]) -> dict[str, Metric]:
    """Return ``reference_ceiling``, read from ``folder`` where an earlier run under this code, suite and data left it there.

    It takes two seconds of CPU that a run's calls, or a repeated run's reader, would wait for.
    """
    code = hashlib.sha256(Path(__file__).read_bytes()).hexdigest()  # the suite's digest covers the rest
    path = folder / f"{sha256_hex(f'{code} {suite.digest} {dataset_digest}')}.json"
    try:
        rows = json.loads(path.read_text(encoding="utf-8"))
        return {row["name"]: Metric(**row | {"unit": Unit(row["unit"])}) for row in rows}
    except (OSError, ValueError, KeyError, TypeError):
        found = reference_ceiling(suite, cases)  # none yet, or cut off
    folder.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    temporary.write_text(json.dumps([asdict(metric) for metric in found.values()]), encoding="utf-8")
    temporary.replace(path)
    return found


def pairs_like_for_like(
    suite: Suite, cases: Sequence[Case], answers: Mapping[str, Sequence[CaseResult]]
) -> dict[str, dict[str, Metric]]:
    """Return, per key of ``answers``, the metrics that the ceiling is to be compared with, on the same cases.

    Args:
        suite: the suite; the ceiling's metrics are covered.
        cases: the dataset's.
        answers: one arm's scored results by pair; failed ones are left out, so that ``n`` may be smaller than the ceiling's.
    """
    found = {}
    for key, results in answers.items():
        answered: dict[str, list[CaseResult]] = {}
        for item in results:
            if item.result.output is not None:
                answered.setdefault(item.case_id, []).append(item)
        texts = [
            [
                _Text(
                    case=_with_references(case, _others(case, place)),
                    output=item.result.output or "",
                    first=False,
                    known={name: score.value for name, score in item.scores.items()},
                )
                for item in answered[case.id]
                for place in range(len(case.expectations.references))
            ]
            for case in _comparable(cases)
            if case.id in answered
        ]
        found[key] = _metrics(suite, texts)
    return found


def _comparable(cases: Sequence[Case]) -> list[Case]:
    return [case for case in cases if len(case.expectations.references) > 1]


def _others(case: Case, left_out: int) -> tuple[str, ...]:
    references = case.expectations.references
    return references[:left_out] + references[left_out + 1 :]


def _with_references(case: Case, references: tuple[str, ...]) -> Case:
    expectations = case.expectations.model_copy(update={"references": references})
    return case.model_copy(update={"expectations": expectations})


def _metrics(suite: Suite, texts: Sequence[Sequence[_Text]]) -> dict[str, Metric]:
    if not texts:
        return {}
    scores = [[_scores(suite, text) for text in group] for group in texts]
    found: dict[str, Metric] = {}
    for spec in suite.metrics:
        interval: Interval | None
        if spec.kind == "corpus":
            interval = _corpus_interval(spec, texts, suite.seed)
        elif spec.kind in ("mean", "rate") and spec.score not in _BY_CONSTRUCTION:
            interval = _score_interval(spec, texts, scores, suite.seed)
        else:
            continue
        if interval is not None:
            found[spec.name] = Metric(
                name=spec.name,
                unit=spec.unit,
                higher_is_better=spec.higher_is_better,
                value=interval.value,
                low=interval.low,
                high=interval.high,
                n=interval.n,
            )
    return found


def _scores(suite: Suite, text: _Text) -> dict[str, float | None]:
    result = TaskResult(output=text.output, arm="primary", model=_AUTHOR, answered_by=_AUTHOR, latency_ms=0.0)
    scorers = [scorer for scorer in suite.scorers if not text.known or getattr(scorer, "reads_references", False)]
    found = score_one(scorers, suite.task, text.case, result)
    return {**text.known, **{name: score.value for name, score in found.items()}}


def _score_interval(
    spec: MetricSpec, texts: Sequence[Sequence[_Text]], scores: Sequence[Sequence[dict[str, Any]]], seed: int
) -> Interval | None:
    """Mean over cases of the mean over a case's texts: texts of one case are no independent draws."""
    means = []
    for group, values in zip(texts, scores, strict=True):
        kept = [
            found[spec.score]
            for text, found in zip(group, values, strict=True)
            if found.get(spec.score) is not None and not (text.first and spec.score in _WITHOUT_FIRST)
        ]
        if kept:
            means.append(sum(kept) / len(kept))
    if not means:
        return None
    per_case = np.array(means, dtype=float)
    if spec.kind == "rate":
        # A case counts as one draw, however many texts it has; unlike the bootstrap this does not collapse at 0 and 1.
        wilson = rate_interval(round(float(per_case.sum())), len(per_case))
        return replace(wilson, value=float(per_case.mean()))
    return mean_interval(per_case, seed=seed)


def _corpus_interval(spec: MetricSpec, texts: Sequence[Sequence[_Text]], seed: int) -> Interval:
    flat = [text for group in texts for text in group]
    corpus = CorpusMetric(
        spec.name, [text.output for text in flat], [text.case.expectations.references for text in flat]
    )
    sizes = [len(group) for group in texts]
    everything = np.ones((1, len(flat)))
    # Cases are drawn, and each brings all of its texts.
    draws = corpus.weighted_scores(np.repeat(resample_weights(len(texts), seed), sizes, axis=1))
    return percentile_interval(float(corpus.weighted_scores(everything)[0]), draws, len(texts))
