"""Builds a pair's gate attestation and the figures file whose digest the attestation holds."""

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from eval.spine.results import Check, Evaluation, PairResult, Verdict, behaviour_verdict
from figures.metric import Metric
from service.core.llm.model_call import AnswerOrigin
from service.core.release.attestation import GateAttestation
from service.kit.frame.canonical import canonical_json, sha256_hex
from service.kit.frame.files import write_whole


@dataclass(frozen=True, slots=True, kw_only=True)
class Attested:
    """The attestation to sign, and the text of ``figures.json``, whose digest it holds as ``figures_digest``."""

    attestation: GateAttestation
    figures: str


def attest(
    evaluation: Evaluation,
    pair: PairResult,
    *,
    gate_dataset: str,
    cases: str,
    now: datetime,
    days: int,
    counterpart: str = "",
    performance: Mapping[str, str] | None = None,
) -> Attested:
    """Return the attestation of ``pair``, not yet signed, with its figures.

    Args:
        evaluation: the finished run.
        pair: one of its pairs.
        gate_dataset: the suite's gate set; an evaluation on other cases, or on a part of it, cannot support a release.
        cases: text of the per-case table as stored in MLflow.
        now: time of issue, with a time zone.
        days: how long the attestation allows a promotion.
        counterpart: digest of the suite's episode; "" where cases are not played out.
        performance: the suite's names for the figures by which people know a pair, each with its metric.
    """
    figures = figures_text(pair)
    return Attested(
        attestation=GateAttestation(
            pair_name=pair.pair_name,
            pair_digest=pair.pair_digest,
            task=evaluation.task,
            scope="gate" if evaluation.dataset_name == gate_dataset else "other",
            dataset_name=evaluation.dataset_name,
            dataset_digest=pair.gate.dataset_digest,
            case_count=evaluation.case_count,
            suite_digest=pair.gate.suite_digest,
            judges=tuple(note.digest for note in evaluation.judges if note.gates),
            code_version=evaluation.code_version,
            environment="aws" if evaluation.environment == "aws" else "local",
            answered_by=pair.answered_by,
            origins=_origins(evaluation, pair),
            baseline_digest=pair.gate.baseline_digest,
            evaluation_id=evaluation.run_id,
            verdict=pair.gate.verdict.value,
            checks=_counts(pair),
            behaviour=behaviour_verdict(pair.gate.checks),
            unseen=pair.gate.unseen,
            looked_at=pair.gate.looked_at,
            sentences=pair.gate.sentences,
            counterpart=counterpart,
            documents=tuple(sorted(set(pair.documents.values()))),
            performance=_performance(pair, performance or {}),
            candidates_tried=pair.gate.look.tried,
            search_looks=pair.gate.look.searched if pair.gate.look.tried else 0,
            figures_digest=sha256_hex(figures),
            cases_digest=sha256_hex(cases),
            issued_at=now.replace(microsecond=0),
            expires_at=now.replace(microsecond=0) + timedelta(days=days),
        ),
        figures=figures,
    )


def _counts(pair: PairResult) -> dict[str, int]:
    """Return how many checks have each verdict."""
    found = Counter(check.verdict for check in pair.gate.checks)
    return {verdict.value: found[verdict] for verdict in Verdict}


def _origins(evaluation: Evaluation, pair: PairResult) -> tuple[AnswerOrigin, ...]:
    """Return the origins of all answers that the verdict of ``pair`` rests on, sorted."""
    found = set(pair.origins)
    for other in evaluation.pairs:
        if other.is_production and pair.gate.baseline_digest is not None:
            found.update(other.origins)
    for note in evaluation.judges:
        if note.gates:
            found.update(note.origins)
    return tuple(sorted(found))


def _performance(pair: PairResult, names: Mapping[str, str]) -> dict[str, float]:
    values = {name: finite(pair.metrics[metric].value) for name, metric in names.items()}
    return {name: round(value, 4) for name, value in values.items() if value is not None}


def figures_text(pair: PairResult) -> str:
    """Return metrics (value, low, high, n), checks with their verdicts and what nobody looked at, as canonical JSON."""
    return canonical_json(
        {
            "metrics": {name: _metric(metric) for name, metric in pair.metrics.items()},
            "backup_metrics": {name: _metric(metric) for name, metric in pair.backup_metrics.items()},
            "deltas": {name: _metric(metric) for name, metric in pair.deltas.items()},
            "checks": [_check(check) for check in pair.gate.checks],
            "unseen": list(pair.gate.unseen),
            "looked_at": list(pair.gate.looked_at),
            "sentences": None if pair.gate.sentences is None else asdict(pair.gate.sentences),
        }
    )


def finite(value: float | None) -> float | None:
    """Return ``value``, or None for NaN and infinity, which JSON does not have."""
    return value if value is not None and math.isfinite(value) else None


def _metric(metric: Metric) -> dict[str, Any]:
    return {
        "value": finite(metric.value),
        "low": finite(metric.low),
        "high": finite(metric.high),
        "n": metric.n,
        "unscored": metric.unscored,
        "unit": metric.unit.value,
    }


def _check(check: Check) -> dict[str, Any]:
    metric = check.metric
    return {
        "kind": check.kind,
        "metric": metric.name,
        "bound": finite(check.bound),
        "value": finite(metric.value),
        "low": finite(metric.low),
        "high": finite(metric.high),
        "n": metric.n,
        "verdict": check.verdict.value,
    }


def write_statement_files(folder: Path, pair_name: str, files: dict[str, str]) -> None:
    """Write ``<pair>.<name>`` for each of ``files`` into the report's folder; each is replaced atomically.

    The name of a pair that tries a model may hold slashes, as the model's id does; they become underscores.
    """
    for name, text in files.items():
        write_whole(folder / f"{pair_name.replace('/', '_')}.{name}", text)
