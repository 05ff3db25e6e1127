"""The kinds of metrics: ``KINDS`` by the name that a suite's ``MetricSpec`` gives."""

from collections.abc import Mapping
from types import MappingProxyType

from eval.spine.suite import MetricSpec
from eval.verdict.kinds.case_values import AnsweredRate, JudgeRate, JudgeScore, MeanCost, MeanScore, RateScore
from eval.verdict.kinds.kind import MetricKind
from eval.verdict.kinds.never import NeverHappens
from eval.verdict.kinds.times import LatencyQuantile, OnTimeRate
from eval.verdict.kinds.whole_set import CorpusScore, PooledCounts

_ALL: tuple[MetricKind, ...] = (
    MeanScore(),
    RateScore(),
    CorpusScore(),
    PooledCounts(),
    NeverHappens(),
    AnsweredRate(),
    LatencyQuantile(),
    OnTimeRate(),
    MeanCost(),
    JudgeScore(),
    JudgeRate(),
)
KINDS: Mapping[str, MetricKind] = MappingProxyType({kind.name: kind for kind in _ALL})


def kind_of(spec: MetricSpec) -> MetricKind:
    """Return the kind of ``spec``.

    Raises:
        KeyError: no kind has this name.
    """
    if spec.kind not in KINDS:
        raise KeyError(f"metric {spec.name!r} is of kind {spec.kind!r}; known: {', '.join(KINDS)}")
    return KINDS[spec.kind]
