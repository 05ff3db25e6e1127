"""What an evaluated pair leaves in MLflow, and whether that is enough evidence to promote it now."""

from pathlib import Path
from typing import Any

from eval.cases import Dataset
from eval.results import NOT_MEASURED, Evaluation, PairResult, Verdict, behaviour_verdict
from eval.tracking import (
    TAG_BASELINE,
    TAG_BEHAVIOUR,
    TAG_DATASET,
    TAG_DATASET_NAME,
    TAG_EVALUATION,
    TAG_SUITE,
    TAG_TASK,
    TAG_VERDICT,
    Evidence,
    RunLog,
)
from service.release import DIGEST_TAG, ENVIRONMENT_TAG, NAME_TAG

NO_BASELINE = "none"


def run_log(evaluation: Evaluation, pair: PairResult, dataset: Dataset, report: Path) -> RunLog:
    """Return the MLflow record of one pair: tags bind it to digests, metrics carry value, low, high and n."""
    metrics: dict[str, float] = {}
    for prefix, group in (("", pair.metrics), ("backup/", pair.backup_metrics), ("delta/", pair.deltas)):
        for name, metric in group.items():
            if metric.value is not None and metric.low is not None and metric.high is not None:
                figures = {"": metric.value, "_low": metric.low, "_high": metric.high, "_n": float(metric.n)}
                metrics |= {f"{prefix}{name}{suffix}": value for suffix, value in figures.items()}
    return RunLog(
        run_name=f"{pair.pair_name} {evaluation.run_id}",
        tags={
            TAG_TASK: evaluation.task,
            TAG_EVALUATION: evaluation.run_id,
            TAG_VERDICT: pair.gate.verdict.value,
            TAG_DATASET: pair.gate.dataset_digest,
            TAG_DATASET_NAME: evaluation.dataset_name,
            TAG_SUITE: pair.gate.suite_digest,
            TAG_BASELINE: pair.gate.baseline_digest or NO_BASELINE,
            TAG_BEHAVIOUR: behaviour_verdict(pair.gate.checks),
            DIGEST_TAG: pair.pair_digest,
            NAME_TAG: pair.pair_name,
            ENVIRONMENT_TAG: evaluation.environment,
            "omni.answered_by": ", ".join(pair.answered_by) or "none",
            "omni.code_version": evaluation.code_version,
        },
        params={
            "pair": pair.pair_name,
            "pair_version": pair.pair_version,
            "model": pair.model,
            "backup": pair.backup or "",
            "dataset": f"{evaluation.dataset_name} ({evaluation.case_count})",
        },
        metrics=metrics,
        table=[_row(pair, index) for index in range(len(pair.cases))],
        files=[str(report), str(report.with_suffix(".json"))],
        dataset={"name": evaluation.dataset_name, "digest": evaluation.dataset_digest, "source": dataset.source},
    )


def _row(pair: PairResult, index: int) -> dict[str, Any]:
    item = pair.cases[index]
    names = sorted({name for case in pair.cases for name in case.scores})
    result = item.result
    return {
        "case_id": item.case_id,
        "arm": item.arm,
        "repeat": item.repeat,
        "output": result.output or "",
        "failure": result.failure.value if result.failure else "",
        "failure_message": result.failure_message,
        "raw_text": result.raw_text,
        "answered_by": result.answered_by,
        "live": item.live,
        "model_ms": round(result.model_ms, 3),
        "cost_usd": str(result.cost.metered_usd) if result.cost else "",
        **{name: item.scores[name].value if name in item.scores else None for name in names},
        "findings": "; ".join(finding for score in item.scores.values() for finding in score.findings),
    }


def refusals(
    candidates: list[Evidence],
    *,
    pair_name: str,
    pair_digest: str,
    dataset_digest: str,
    dataset_name: str,
    suite_digest: str,
    production_digest: str | None,
    environment: str,
    behaviour_required: bool = False,
) -> tuple[Evidence | None, list[str]]:
    """Find the evaluation that allows this promotion among ``candidates`` (of the pair's name, newest first).

    Returns:
        The evidence and no reasons, or None and the reasons, each saying which digest differs and what to do.
    """
    if not candidates:
        return None, [f"pair {pair_name!r} was never evaluated: run `make eval PAIRS={pair_name}`"]
    wanted = {
        "pair": ("the pair's file", pair_digest, "pair_digest"),
        "dataset": (f"dataset {dataset_name!r}", dataset_digest, "dataset_digest"),
        "suite": ("the suite", suite_digest, "suite_digest"),
        "production": ("the production pair", production_digest or NO_BASELINE, "baseline_digest"),
        "environment": ("the environment", environment, "environment"),
    }
    best: list[str] | None = None
    for evidence in candidates:
        reasons = []
        for what, now, field in wanted.values():
            then = getattr(evidence, field)
            if field == "baseline_digest" and then == pair_digest:
                continue  # it was production itself then; its own floors are its evidence
            if then != now:
                reasons.append(f"{what} differs from what the gate saw (now {now[:12]}, gate saw {then[:12]})")
        if not reasons and behaviour_required and evidence.behaviour != Verdict.PASS:
            reasons = [
                f"the suite demands behaviour evidence in {environment!r} and this gate's was "
                f"{evidence.behaviour or NOT_MEASURED!r}: run `make gate PAIR={pair_name}`"
            ]
        if not reasons and evidence.verdict == Verdict.PASS:
            return evidence, []
        if not reasons:
            reasons = [
                f"the gate's verdict of {evidence.at} was {evidence.verdict!r}; only a pass is promoted "
                f"(report of run {evidence.evaluation_id})"
            ]
        if best is None or len(reasons) < len(best):
            best = reasons
    assert best is not None
    remedy = f"run `make eval PAIRS={pair_name}` to judge it as it is now"
    return None, [*best, remedy]
