"""A suite: a task's scorers, the metrics computed from their scores, and the bounds that gate a release, with reasons."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel

from eval.spine.code_digest import deciding_code_digest
from eval.spine.episode import CaseEpisode
from eval.spine.judge_spec import HarmClass, JudgeSpec
from eval.spine.pool import Pool
from eval.spine.scorer import Scorer
from figures.metric import Unit
from service.core.unit.pair_file.front_matter import near_or_all
from service.kit.frame.canonical import canonical_json, sha256_hex
from service.kit.frame.errors import ConfigurationError

_ROOT = Path(__file__).resolve().parents[2]
# The names of ``eval.verdict.kinds.KINDS``, which needs numpy: a suite is refused before that is imported.
METRIC_KINDS = (
    "mean",
    "rate",
    "corpus",
    "pooled",
    "never",
    "answered",
    "latency",
    "on_time",
    "cost",
    "judge",
    "judge_rate",
)
_OF_A_SCORE = ("mean", "rate", "never")  # kinds whose ``score`` is one of a scorer's
_COSTS = ("metered", "cold", "warm")


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricSpec:
    """The definition of a metric.

    ``kind`` names one of ``eval.verdict.kinds``: ``mean`` and ``rate`` of a score over cases, ``corpus`` for a figure over all
    texts at once, ``pooled`` for one of counts over all cases (``score`` names the suite's pool), ``never`` for the share of
    cases with an event that must not happen (``score`` counts an answer's events), ``answered``, ``latency`` (``quantile``: 0
    to 1) and ``on_time`` (share inside the pair's deadline) of live answers, of which each turn of a conversation is one,
    ``cost`` (``score`` is ``metered``, ``cold`` or ``warm``), ``judge`` for the mean of a judge's score, in which every case
    without a grade counts as unscored, and ``judge_rate`` for that of a judge who says yes or no.
    """

    name: str
    kind: str
    unit: Unit
    score: str = ""
    higher_is_better: bool = True
    quantile: float = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Floor:
    """The whole 95% interval of ``metric`` must lie on the good side of ``bound``; ``reason`` justifies the bound.

    ``arms`` are the models that must clear it: the backup too, because its answers are read after a failover. Without
    ``of_code`` it binds models alone: a pair that is code is released as what a model must beat, however weak it is.
    """

    metric: str
    bound: float
    reason: str
    arms: tuple[Literal["primary", "backup"], ...] = ("primary", "backup")
    of_code: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class NoWorse:
    """The 95% interval of candidate minus production on the same cases must lie above ``-margin``.

    ``margin`` is in the metric's unit; for corpus figures, latency and cost it is a share of production's figure: 0.2 allows a
    fifth.
    """

    metric: str
    margin: float
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SliceFloor:
    """A floor on the cases whose slice ``slice`` has ``value``, because an average hides groups of customers who fare worse.

    ``metric`` is of any kind. Slices with fewer than ``min_n`` cases to score are shown as small and never gate.
    """

    slice: str
    metric: str
    bound: float
    min_n: int
    reason: str
    value: str | bool = True

    @property
    def label(self) -> str:
        """The slice's name in reports."""
        return self.slice if self.value is True else f"{self.slice}={self.value}"


@dataclass(frozen=True, slots=True, kw_only=True)
class MustPass:
    """Every case of the must-pass set must reach ``at_least`` in ``score``; cases without that score are left out.

    With ``slice`` the cases are those of the gate set that have it. Up to ``tolerated`` of them may miss.
    """

    score: str
    at_least: float
    reason: str
    slice: str = ""
    tolerated: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgedKind:
    """A kind of harm that no code of the suite can see: it counts as looked at only where a judge was licensed for its class."""

    name: str
    description: str
    harm_class: HarmClass = "invention"


@dataclass(frozen=True, slots=True, kw_only=True)
class Behaviour:
    """What a pair must and must not do in the running service, whatever its inputs contain (``omni behave``).

    ``plant`` returns a copy of a case's inputs with a given text where a customer or agent could have written it. ``attacks``
    names a list of attacks (``datasets/<task>/<attacks>.yaml``). In the environments of ``required_in`` a promotion needs this
    evidence; elsewhere it counts once it has been measured.
    """

    dataset: str
    attacks: str
    plant: Callable[[Mapping[str, Any], str], dict[str, Any]]
    floors: tuple[Floor, ...]
    required_in: tuple[str, ...] = ("aws",)


@dataclass(frozen=True, kw_only=True)
class Suite:
    """Everything that decides a verdict for one task, apart from pair and cases.

    ``must_pass`` applies to the cases of ``regression_dataset`` if that file exists: cases harvested from feedback.
    ``fault`` is what reports call a finding of a yes-or-no score; "": a false or unsupported statement.
    ``performance`` names metrics by which people know a pair, under the names that its record gives them.
    ``least_repeats`` is how many answers per case its metrics need at least, such as four for pass^4.
    ``judged_only`` has no default, because a suite that forgets it would claim that its code sees every harm; an empty one
    gives its reason in a comment. With ``episode`` each case is played out in several runs of the task. ``documents`` is the
    digest of the index whose documents the cases name; "" where there is none, or the cases hold for any.
    """

    task: str
    gate_dataset: str
    scorers: tuple[Scorer, ...]
    metrics: tuple[MetricSpec, ...]
    floors: tuple[Floor, ...]
    no_worse: tuple[NoWorse, ...]
    judged_only: tuple[JudgedKind, ...]
    max_unscored_rate: float
    minimum_latency_calls: int
    seed: int = 20261121
    slices: tuple[str, ...] = ()
    table: tuple[str, ...] = ()
    slice_floors: tuple[SliceFloor, ...] = ()
    judges: tuple[JudgeSpec, ...] = ()
    behaviour: Behaviour | None = None
    pools: Mapping[str, Pool] = field(default_factory=dict)
    must_pass: tuple[MustPass, ...] = ()
    regression_dataset: str = "regression"
    episode: CaseEpisode | None = None
    documents: str = ""
    least_repeats: int = 1
    fault: str = ""
    performance: Mapping[str, str] = field(default_factory=dict)
    declared_digest: str = ""

    def __post_init__(self) -> None:
        for name in ("scorers", "metrics", "floors", "no_worse", "judged_only"):
            if not isinstance(getattr(self, name), tuple):
                raise ConfigurationError(
                    f"{name} of task {self.task!r} is no tuple: one alone needs a comma, as in (a,)"
                )
        if not all(isinstance(kind, JudgedKind) for kind in self.judged_only):
            raise ConfigurationError(f"judged_only of task {self.task!r}: write each kind as JudgedKind(name=..., ...)")
        for spec in self.metrics:
            if spec.kind == "pooled" and spec.score not in self.pools:
                raise ConfigurationError(
                    f"metric {spec.name!r} of task {self.task!r} needs the pool {spec.score!r}: add it to the suite's `pools`"
                )

            # Here and not in the metric's kind, which needs numpy: a suite is refused before the first call is paid for.
            if spec.kind == "never" and (spec.unit is not Unit.EVENTS or spec.higher_is_better):
                raise ConfigurationError(
                    f"metric {spec.name!r} of task {self.task!r} counts what must not happen: give it "
                    "higher_is_better=False and unit=Unit.EVENTS"
                )

            if spec.kind in ("latency", "cost") and spec.higher_is_better:
                raise ConfigurationError(
                    f"metric {spec.name!r} of task {self.task!r} counts more as better: give it higher_is_better=False"
                )
        of_answers = [spec for spec in self.judges if not (spec.reads or spec.conversations)]
        if self.episode is not None and (self.behaviour is not None or of_answers):
            raise ConfigurationError(
                f"the suite of task {self.task!r} plays conversations: of its judges only readers of sentences and judges of "
                "conversations can be asked, and behaviour checks read single answers, so leave other judges and `behaviour` out"
            )
        if self.episode is None and any(spec.conversations for spec in self.judges):
            raise ConfigurationError(
                f"the suite of task {self.task!r} plays no conversations: leave its judges of conversations out"
            )

    def check_names(self) -> None:
        """Refuse what names something that a task's whole suite lacks, or demands nothing, before the first call is paid for.

        Names are those of metrics in bounds and columns, and of kinds and scores in metrics.

        Raises:
            ConfigurationError: naming what is unknown, and the one that was probably meant.
        """
        if not (self.floors or self.slice_floors or self.must_pass):
            raise ConfigurationError(
                f"the suite of task {self.task!r} demands nothing of a first release: give it floors=(Floor(metric=..., "
                "bound=..., reason=...),), the least that an answer must reach"
            )
        for spec in self.metrics:
            self._check_metric(spec)
        known = [spec.name for spec in self.metrics]
        bounded = [floor.metric for floor in self.floors]
        bounded += [gate.metric for gate in self.no_worse]
        bounded += [floor.metric for floor in self.slice_floors]
        for name in (*bounded, *self.table, *self.performance.values()):
            if name not in known:
                hint = near_or_all(name, known, "it has")
                raise ConfigurationError(f"the suite of task {self.task!r} has no metric {name!r}; {hint}")

    def _check_metric(self, spec: MetricSpec) -> None:
        whose = f"metric {spec.name!r} of task {self.task!r}"
        if spec.kind not in METRIC_KINDS:
            hint = near_or_all(spec.kind, METRIC_KINDS, "there are")
            raise ConfigurationError(f"{whose} is of kind {spec.kind!r}, which does not exist; {hint}")
        scores = [name for scorer in self.scorers for name in scorer.scores]
        if spec.kind in _OF_A_SCORE and spec.score not in scores:
            hint = near_or_all(spec.score, scores, "they give") if scores else "there is no scorer"
            raise ConfigurationError(f"{whose} is made of the score {spec.score!r}, which no scorer gives; {hint}")
        if spec.kind == "cost" and spec.score not in _COSTS:
            hint = near_or_all(spec.score, _COSTS, "there are")
            raise ConfigurationError(f"{whose} is made of the cost {spec.score!r}, which does not exist; {hint}")

    def case_model(self, input_model: type[BaseModel]) -> type[BaseModel]:
        """Return the model of a case's inputs: the task's own, or what the suite's episodes are played from."""
        return input_model if self.episode is None else self.episode.scenario_model

    def judged_by(self, asked: Sequence[JudgeSpec], gating: Sequence[JudgeSpec]) -> "Suite":
        """Return this suite, with a digest of its own, plus metrics of the judges ``asked`` and bounds of those ``gating``."""
        metrics = tuple(
            MetricSpec(
                name=spec.score, kind="judge_rate" if spec.yes_or_no else "judge", score=spec.score, unit=Unit.RATE
            )
            for spec in asked
        ) + tuple(
            MetricSpec(name=name, kind="mean", score=name, unit=Unit.RATE) for spec in asked for name in spec.shows
        )
        floors = tuple(
            Floor(metric=spec.score, bound=spec.floor, reason=spec.reason) for spec in gating if spec.floor is not None
        )
        no_worse = tuple(
            NoWorse(metric=spec.score, margin=spec.margin, reason=spec.reason)
            for spec in gating
            if spec.margin is not None
        )
        return replace(
            self,
            metrics=self.metrics + metrics,
            floors=self.floors + floors,
            no_worse=self.no_worse + no_worse,
            table=self.table + tuple(metric.name for metric in metrics),
            declared_digest=self.digest,
        )

    def repeats(self, asked: int | None) -> int:
        """Return how many answers per case a run with ``asked`` repeats makes; None: as many as the metrics need.

        Raises:
            ConfigurationError: the metrics need more.
        """
        if asked is None or asked >= self.least_repeats:
            return self.least_repeats if asked is None else asked
        needed = self.least_repeats
        raise ConfigurationError(
            f"--repeats {asked} is too few for task {self.task!r}, whose metrics need {needed} answers per case; use "
            f"--repeats {needed}, or leave it out"
        )

    def metric(self, name: str) -> MetricSpec:
        """Return the spec of metric ``name``.

        Raises:
            KeyError: a gate names a metric that the suite does not define.
        """
        for spec in self.metrics:
            if spec.name == name:
                return spec
        raise KeyError(f"suite {self.task!r} gates on {name!r}, which is not one of its metrics")

    @cached_property
    def digest(self) -> str:
        """SHA-256 over the declared bounds and over the code that turns outputs into verdicts."""
        if self.declared_digest:
            return self.declared_digest
        declared: dict[str, Any] = {
            "task": self.task,
            "gate_dataset": self.gate_dataset,
            "scorers": [[scorer.name, list(scorer.scores)] for scorer in self.scorers],
            "metrics": [_plain(spec) for spec in self.metrics],
            "floors": [_plain(floor) for floor in self.floors],
            "no_worse": [_plain(gate) for gate in self.no_worse],
            "judged_only": [_plain(kind) for kind in self.judged_only],
            "slice_floors": [_plain(floor) for floor in self.slice_floors],
            "max_unscored_rate": self.max_unscored_rate,
            "minimum_latency_calls": self.minimum_latency_calls,
            "seed": self.seed,
            "behaviour": _declared(self.behaviour),
            "must_pass": [self.regression_dataset, *(_plain(demand) for demand in self.must_pass)],
            "code": deciding_code_digest(self.task),
        }
        if self.episode is not None:
            declared["episode"] = self.episode.digest
        if self.documents:
            declared["documents"] = self.documents
        if self.least_repeats > 1:
            declared["least_repeats"] = self.least_repeats
        if self.pools:
            declared["pools"] = sorted(self.pools)
        if self.judges:
            declared["judges"] = [_plain(spec) for spec in self.judges]
            declared["judge_prompts"] = [
                _file_digest(Path("prompts") / "judges" / f"{spec.rubric}.prompty") for spec in self.judges
            ]
        if any(spec.asks_claims for spec in self.judges):
            declared["claims"] = _file_digest(Path("datasets") / self.task / "claims.jsonl")
        return sha256_hex(canonical_json(declared))


def _declared(behaviour: Behaviour | None) -> dict[str, Any] | None:
    if behaviour is None:
        return None
    return {
        "dataset": behaviour.dataset,
        "attacks": behaviour.attacks,
        "floors": [_plain(floor) for floor in behaviour.floors],
        "required_in": list(behaviour.required_in),
    }


def _file_digest(name: Path) -> str:
    """SHA-256 over a file of this checkout that judges use; "" if there is none, as then no run can use the judge."""
    path = _ROOT / name
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.exists() else ""


def _plain(spec: MetricSpec | Floor | NoWorse | SliceFloor | MustPass | JudgedKind | JudgeSpec) -> dict[str, Any]:
    return {name: getattr(spec, name) for name in spec.__slots__}
