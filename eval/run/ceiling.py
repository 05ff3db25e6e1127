"""The scores that human references reach: each reference scored against the case's others, and pairs by the same rule.

An overlap score means little alone, because two careful authors word one summary differently. Each reference of a case with
several is scored against the others as if it were an output (leave one out). A pair's own figure uses all references,
which is easier; ``pairs_like_for_like`` therefore scores each answer once per left-out reference and takes the mean (the
jackknife that Lin 2004, section 2.5, proposes for this comparison).
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from eval.run.scoring import score_one
from eval.scorers.facts import FactScorer
from eval.spine.cases import Case
from eval.spine.results import CaseResult
from eval.spine.suite import Suite
from eval.verdict.kinds import kind_of
from eval.verdict.kinds.kind import ScoredReference
from eval.verdict.metrics import metric_of
from figures.metric import Metric, Unit
from service.core.run.task import TaskResult
from service.kit.frame.canonical import sha256_hex
from service.kit.frame.files import write_whole

_AUTHOR = "a reference"
# The first reference was written with the facts in hand, and `omni cases` checks that it carries them all: its coverage
# is 1 by construction. The further ones were written without sight of either.
_WITHOUT_FIRST = frozenset({"fact_coverage"})
# `omni cases` lets no reference state a forbidden claim, so that this is 1 by construction for all of them.
_BY_CONSTRUCTION = frozenset(FactScorer.scores) - _WITHOUT_FIRST


@dataclass(frozen=True, slots=True, kw_only=True)
class _Text:
    """One text scored as an output, with the remaining references.

    ``first``: whether it is the case's first reference. ``known``: scores of the same text that do not read references.
    """

    case: Case
    output: str
    first: bool
    known: Mapping[str, float | None] = field(default_factory=dict)


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
    """Return ``reference_ceiling``, read from ``folder`` if an earlier run with the same code, suite and data stored it.

    Computing it takes two seconds of CPU, which would delay the model calls or a repeated run.
    """
    code = hashlib.sha256(Path(__file__).read_bytes()).hexdigest()  # the suite's digest covers the rest
    path = folder / f"{sha256_hex(f'{code} {suite.digest} {dataset_digest}')}.json"
    try:
        rows = json.loads(path.read_text(encoding="utf-8"))
        return {row["name"]: Metric(**row | {"unit": Unit(row["unit"])}) for row in rows}
    except (OSError, ValueError, KeyError, TypeError):
        found = reference_ceiling(suite, cases)  # none yet, or cut off
    folder.mkdir(parents=True, exist_ok=True)
    write_whole(path, json.dumps([asdict(metric) for metric in found.values()]))
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
    scored = [[_scored(suite, text) for text in group] for group in texts]
    found: dict[str, Metric] = {}
    for spec in suite.metrics:
        interval = kind_of(spec).ceiling(spec, scored, suite.seed)
        if interval is not None:
            found[spec.name] = replace(metric_of(spec, interval), method="")
    return found


def _scored(suite: Suite, text: _Text) -> ScoredReference:
    result = TaskResult(output=text.output, arm="primary", model=_AUTHOR, answered_by=_AUTHOR, latency_ms=0.0)
    scorers = [scorer for scorer in suite.scorers if not text.known or getattr(scorer, "reads_references", False)]
    found = score_one(scorers, suite.task, text.case, result)
    scores = {**text.known, **{name: score.value for name, score in found.items()}}
    left_out = _BY_CONSTRUCTION | _WITHOUT_FIRST if text.first else _BY_CONSTRUCTION
    return ScoredReference(
        text=text.output,
        references=text.case.expectations.references,
        scores={name: value for name, value in scores.items() if name not in left_out},
    )
