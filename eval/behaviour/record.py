"""A behaviour result: one row per case, the metrics over them, and the file from which a gate reads it."""

import json
import os
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from eval.behaviour.attacks import load_attacks
from eval.behaviour.cases import set_digest
from eval.behaviour.install import engine_version
from eval.behaviour.marks import BY_PRIMARY, MARKS, MUST_CARRY
from eval.run.loaders import load_dataset
from eval.spine.cases import Dataset
from eval.spine.results import Check, GateResult, Verdict
from eval.spine.suite import Suite
from eval.verdict.gate import behaviour_checks
from figures.metric import Metric, Unit
from figures.stats import mean_interval, rate_interval
from service.core.run.task import load_task
from service.kit.frame.canonical import canonical_json, sha256_hex
from service.kit.frame.files import write_whole
from service.kit.settings import Settings

_NOT_THE_PRIMARY = (
    "the backup or the fallback digest answered in the primary model's place: run where the model keeps the pair's hedge delay "
    "(CONCURRENCY=1 helps on a small machine)"
)

# The variables by which litellm's providers name a server.
_ADDRESS_VARIABLES = ("_API_BASE", "_BASE_URL", "_API_URL", "_ENDPOINT_URL")


@dataclass(frozen=True, slots=True, kw_only=True)
class BehaviourRow:
    """One case: its scores by mark, None where it has no score (``error`` says why: unscored is neither pass nor fail)."""

    case_id: str
    kind: str
    strategy: str
    scores: dict[str, float | None]
    findings: tuple[str, ...] = ()
    error: str = ""
    arm: str = ""
    answered_by: str = ""
    latency_ms: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class BehaviourResult:
    """One pair's behaviour in the running service; valid only for the digests of pair, set and suite, and the environment.

    ``servers`` is the digest of what answers for models (``servers_digest``): a stand-in's behaviour is not the provider's.
    """

    task: str
    pair_name: str
    pair_digest: str
    set_digest: str
    suite_digest: str
    environment: str
    servers: str
    at: str
    engine: str
    rows: tuple[BehaviourRow, ...]

    @property
    def digest(self) -> str:
        """SHA-256 over the whole result: what a gate run names as its evidence."""
        return sha256_hex(canonical_json(asdict(self)))

    def metrics(self, seed: int) -> dict[str, Metric]:
        """Return every behaviour metric: rates with Wilson's interval, ``must_carry`` as a mean with a bootstrap interval."""
        return {mark: _metric(mark, self.rows, seed) for mark in MARKS}


def _metric(mark: str, rows: Sequence[BehaviourRow], seed: int) -> Metric:
    held = [row.scores[mark] for row in rows if mark in row.scores]
    values = [value for value in held if value is not None]
    interval = None
    if values and mark == MUST_CARRY:
        import numpy as np

        interval = mean_interval(np.array(values), seed=seed)
    elif values:
        interval = rate_interval(sum(value == 1.0 for value in values), len(values))
    return Metric(
        name=mark,
        unit=Unit.RATE,
        higher_is_better=True,
        value=interval.value if interval else None,
        low=interval.low if interval else None,
        high=interval.high if interval else None,
        n=len(values),
        unscored=len(held) - len(values),
    )


def by_kind(rows: Iterable[BehaviourRow]) -> list[tuple[str, str, int, int, int]]:
    """Return (kind, mark, cases without a finding, scored, unscored) for every kind and mark, in order of appearance."""
    table: dict[tuple[str, str], list[int]] = {}
    for row in rows:
        for mark, value in row.scores.items():
            if mark == BY_PRIMARY:
                continue
            cell = table.setdefault((f"{row.kind} {row.strategy}".strip(), mark), [0, 0, 0])
            cell[0] += value == 1.0
            cell[1] += value is not None
            cell[2] += value is None
    return [(kind, mark, *cell) for (kind, mark), cell in table.items()]  # type: ignore[misc] # three ints each


def checks_of(result: BehaviourResult, suite: Suite) -> tuple[Check, ...]:
    """Return the suite's behaviour checks on ``result``.

    With too few answers of the primary model the check is inconclusive, because the pair itself was not measured.
    """
    return tuple(
        replace(check, verdict=Verdict.INCONCLUSIVE, explanation=_NOT_THE_PRIMARY)
        if check.name == BY_PRIMARY and check.verdict is Verdict.FAIL
        else check
        for check in behaviour_checks(result.metrics(suite.seed), suite)
    )


def result_path(settings: Settings, pair_digest: str, digest_of_set: str) -> Path:
    """Return where the result of this pair on this set is kept."""
    return settings.state_dir / "behaviour" / f"{pair_digest[:32]}-{digest_of_set[:32]}.json"


def save_result(result: BehaviourResult, settings: Settings) -> Path:
    """Write ``result`` atomically and return its path."""
    path = result_path(settings, result.pair_digest, result.set_digest)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, json.dumps(asdict(result), ensure_ascii=False, indent=1))
    return path


def load_result(path: Path) -> BehaviourResult | None:
    """Return the result at ``path``; None if it is missing or damaged, so that it must be measured again."""
    try:
        raw: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        rows = tuple(BehaviourRow(**{**row, "findings": tuple(row["findings"])}) for row in raw.pop("rows"))
        return BehaviourResult(**raw, rows=rows)
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return None


def load_set(suite: Suite, settings: Settings) -> tuple[Dataset, tuple[Any, ...], str]:
    """Return the challenge cases, the attacks and the digest of both."""
    assert suite.behaviour is not None
    model = load_task(suite.task).input_model
    dataset = load_dataset(suite.behaviour.dataset, task=suite.task, input_model=model, settings=settings)
    attacks = load_attacks(settings.datasets_dir / suite.task / f"{suite.behaviour.attacks}.yaml")
    return dataset, attacks, set_digest(suite, dataset, attacks, engine_version())


def find_result(pair_digest: str, suite: Suite, settings: Settings) -> BehaviourResult | None:
    """Return the result for the present pair, set, suite, environment and servers of models, or None."""
    # Most pairs have no result. Read the set only if there is one: reading takes time, and an error would stop the evaluation.
    if suite.behaviour is None or not any(
        result_path(settings, pair_digest, "").parent.glob(f"{pair_digest[:32]}-*.json")
    ):
        return None
    _, _, digest = load_set(suite, settings)
    found = load_result(result_path(settings, pair_digest, digest))
    if found is None or (found.pair_digest, found.set_digest) != (pair_digest, digest):
        return None
    present = (suite.digest, settings.environment, servers_digest(settings))
    return found if (found.suite_digest, found.environment, found.servers) == present else None


def servers_digest(settings: Settings) -> str:
    """Return the SHA-256 of the addresses at which models are asked, and of the stand-in's name, if there is one."""
    named = {
        "bedrock": settings.bedrock.endpoint,
        "stand_in": settings.bedrock.stand_in,
        "models": dict(settings.bedrock.model_endpoints),
        "variables": {name: os.environ[name] for name in sorted(os.environ) if name.endswith(_ADDRESS_VARIABLES)},
    }
    return sha256_hex(canonical_json(named))


def with_behaviour(gate: GateResult, suite: Suite, settings: Settings) -> GateResult:
    """Return ``gate`` with the behaviour checks of its pair, if they were measured."""
    result = find_result(gate.pair_digest, suite, settings)
    return gate if result is None else replace(gate, checks=(*gate.checks, *checks_of(result, suite)))
