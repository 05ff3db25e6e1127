"""A suite: which scorers look at a task's outputs, which metrics come of them, and which bounds gate a release, with reasons."""

import hashlib
import importlib.util
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from eval.results import Unit
from eval.scorers.base import Scorer
from service.canonical import canonical_json, sha256_hex

_HERE = Path(__file__).resolve().parent
# Code whose change can change an answer or a verdict: its bytes are part of every suite's digest.
_JUDGING_CODE = ("stats.py", "gate.py", "metrics.py", "suite.py", "scorers/*.py", "behaviour/*.py")
_JUDGING_SERVICE_CODE = (
    "text.py",
    "grounding.py",
    "mentions.py",
    "days.py",
    "lexicon.py",
    "llm/extractive.py",
    "task.py",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricSpec:
    """How a metric is made.

    ``kind``: ``mean`` and ``rate`` of a score over cases, ``corpus`` for a figure over all texts at once, ``answered``,
    ``latency`` (``quantile`` 0 to 1), ``on_time`` (share of live answers inside the pair's deadline), ``cost``
    (``score`` is ``metered``, ``cold`` or ``warm``).
    """

    name: str
    kind: Literal["mean", "rate", "corpus", "answered", "latency", "on_time", "cost"]
    unit: Unit
    score: str = ""
    higher_is_better: bool = True
    quantile: float = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Floor:
    """The whole 95% interval of ``metric`` must lie on the good side of ``bound``; ``reason`` says why there.

    ``arms``: whether the pair's backup must clear it too: a failover changes what is read just as a release does.
    """

    metric: str
    bound: float
    reason: str
    arms: tuple[Literal["primary", "backup"], ...] = ("primary", "backup")


@dataclass(frozen=True, slots=True, kw_only=True)
class NoWorse:
    """The 95% interval of candidate minus production on the same cases must lie above ``-margin`` (in the metric's unit)."""

    metric: str
    margin: float
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Behaviour:
    """What a pair must and must not do in the running service, whatever stands in its inputs (``make behave``).

    ``plant`` returns a copy of a case's inputs with a stranger's text where a stranger could have written it. ``attacks`` names
    a list beside the datasets (``datasets/<task>/<attacks>.yaml``). In the environments of ``required_in`` nothing is promoted
    without this evidence; elsewhere it counts as soon as it was measured.
    """

    dataset: str
    attacks: str
    plant: Callable[[Mapping[str, Any], str], dict[str, Any]]
    floors: tuple[Floor, ...]
    required_in: tuple[str, ...] = ("aws",)


@dataclass(frozen=True, kw_only=True)
class Suite:
    """Everything that decides a verdict for one task, apart from pair and cases."""

    task: str
    gate_dataset: str
    scorers: tuple[Scorer, ...]
    metrics: tuple[MetricSpec, ...]
    floors: tuple[Floor, ...]
    no_worse: tuple[NoWorse, ...]
    max_unscored_rate: float
    minimum_latency_calls: int
    seed: int = 20261121
    slices: tuple[str, ...] = ()
    table: tuple[str, ...] = ()
    behaviour: Behaviour | None = None

    def metric(self, name: str) -> MetricSpec:
        """Return the spec of metric ``name``.

        Raises:
            KeyError: a gate names a metric that the suite does not make.
        """
        for spec in self.metrics:
            if spec.name == name:
                return spec
        raise KeyError(f"suite {self.task!r} gates on {name!r}, which is none of its metrics")

    @cached_property
    def digest(self) -> str:
        """SHA-256 over the declared bounds and over the code that turns outputs into verdicts."""
        declared: dict[str, Any] = {
            "task": self.task,
            "gate_dataset": self.gate_dataset,
            "scorers": [[scorer.name, list(scorer.scores)] for scorer in self.scorers],
            "metrics": [_plain(spec) for spec in self.metrics],
            "floors": [_plain(floor) for floor in self.floors],
            "no_worse": [_plain(gate) for gate in self.no_worse],
            "max_unscored_rate": self.max_unscored_rate,
            "minimum_latency_calls": self.minimum_latency_calls,
            "seed": self.seed,
            "behaviour": _declared(self.behaviour),
            "code": judging_code_digest(self.task),
        }
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


def _plain(spec: MetricSpec | Floor | NoWorse) -> dict[str, Any]:
    return {name: getattr(spec, name) for name in spec.__slots__}


def judging_code_digest(task: str) -> str:
    """SHA-256 over the source of scorers, statistics, gate, the task and its suite, and of models that are code.

    A pair's digest says nothing about code: evidence made with other code must not release it.
    """
    digest = hashlib.sha256()
    paths = [path for pattern in _JUDGING_CODE for path in sorted(_HERE.glob(pattern))]
    paths += [path for name in _JUDGING_SERVICE_CODE if (path := _HERE.parent / "service" / name).exists()]
    for module in (f"eval.suites.{task}", f"service.tasks.{task}"):
        spec = importlib.util.find_spec(module)
        if spec is not None and spec.origin is not None:
            paths.append(Path(spec.origin))
    for path in paths:
        digest.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()
