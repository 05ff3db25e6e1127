"""The frames of evaluations (runs, the answers to their cases, their figures) and of the releases in a task's ledger."""

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from eval.frames.columns import CASES, METRICS, RELEASES, RUNS, TEXTS, frame_of
from eval.frames.finished_runs import LAST, read_report, run_ids, the_run
from eval.spine.errors import ResultsError
from service.kit.settings import Settings

if TYPE_CHECKING:
    import pandas as pd

    from eval.release.audit import HistoryRow

Row = dict[str, Any]
_PARTS = {
    "metrics": "primary",
    "backup_metrics": "backup",
    "deltas": "difference",
    "like_for_like": "like_for_like",
}


def runs(settings: Settings | None = None) -> "pd.DataFrame":
    """Return one row per pair of every finished run that has a report here, newest run first; columns: ``RUNS``."""
    settings = settings or Settings()
    reports = (read_report(run_id, settings) for run_id in run_ids(settings))
    return frame_of([row for report in reports for row in _run_rows(report)], RUNS)


def run_pairs(run: str, settings: Settings) -> "pd.DataFrame":
    """Return the rows of ``runs`` for one run."""
    return frame_of(list(_run_rows(read_report(the_run(run, settings), settings))), RUNS)


def cases(run: str = LAST, settings: Settings | None = None, *, texts: bool = False) -> "pd.DataFrame":
    """Return one row per answer of a run: pair, case, arm and repeat; columns: ``CASES``.

    Args:
        run: id of a run, the beginning of one, or ``last``.
        settings: where results and stores are; default: the environment's.
        texts: add the columns ``TEXTS``, as models wrote them, from the run's table in MLflow. They may quote customers.
    """
    settings = settings or Settings()
    report = read_report(the_run(run, settings), settings)
    rows = list(_case_rows(report))
    if not texts:
        return frame_of(rows, CASES)
    held = _texts(report, settings)
    for row in rows:
        text = held.get(_answer_key(row))
        if text is None:
            raise ResultsError(
                f"MLflow holds no text of case {row['case_id']!r} of pair {row['pair_name']!r} in run {row['run_id']}; "
                "read the cases without texts"
            )
        row |= text
    return frame_of(rows, (*CASES, *TEXTS))


def metrics(run: str = LAST, settings: Settings | None = None) -> "pd.DataFrame":
    """Return one row per figure and per check of a run; columns: ``METRICS``."""
    settings = settings or Settings()
    return frame_of(list(_metric_rows(read_report(the_run(run, settings), settings))), METRICS)


def releases(task: str = "summarize", settings: Settings | None = None) -> "pd.DataFrame":
    """Return one row per release of ``task`` whose signature verifies, oldest first; columns: ``RELEASES``.

    Entries whose signature does not verify are left out; ``omni verify`` names them.
    """
    from eval.release.audit import Audit

    history = Audit(task, settings or Settings()).history()
    return frame_of(list(_release_rows(history)), RELEASES)


def _release_rows(history: list["HistoryRow"]) -> Iterator[Row]:
    for row in reversed(history):
        release, evidence = row.entry.release, row.attestation
        if release is None:
            continue
        yield {
            **{column.name: getattr(release, column.name, None) for column in RELEASES},
            "released_at": release.at,
            "without_judge_until": str(release.exception.until) if release.exception is not None else None,
            "run_id": evidence.evaluation_id if evidence else None,
            "verdict": evidence.verdict if evidence else None,
            "dataset_name": evidence.dataset_name if evidence else None,
            "case_count": evidence.case_count if evidence else None,
            "problem": row.problem,
        }


def _pair_fields(report: Row, pair: Row) -> Row:
    return {"run_id": report["run_id"]} | {name: pair[name] for name in ("pair_name", "pair_digest", "is_production")}


def _listed(names: list[str] | None) -> str:
    return ", ".join(names or ())


def _run_rows(report: Row) -> Iterator[Row]:
    for pair in report["pairs"]:
        plain = {**report, **pair}
        yield {
            # By name: rows that held the whole reports would keep the answers of all runs in memory.
            **{column.name: plain.get(column.name) for column in RUNS},
            "answered_by": _listed(pair["answered_by"]),
            "origins": _listed(pair.get("origins")),
            "unseen": _listed(pair.get("unseen")),
            "parts": "; ".join(f"{name}: {models}" for name, models in pair.get("parts", {}).items()) or None,
            "pair_seconds": pair["seconds"],
            "run_seconds": report["seconds"],
        }


def _case_rows(report: Row) -> Iterator[Row]:
    slices = report.get("slices", {})
    for pair in report["pairs"]:
        for answer in pair["cases"]:
            cost = answer["cost"] or {}
            yield {
                **answer,
                **_pair_fields(report, pair),
                **answer["usage"],
                "origins": _listed(answer.get("origins")),
                "cost_usd": cost.get("metered_usd"),
                "cost_cold_usd": cost.get("cold_usd"),
                "cost_warm_usd": cost.get("warm_usd"),
                "finding_count": sum(answer["findings"].values()),
                **{f"slice_{name}": value for name, value in slices.get(answer["case_id"], {}).items()},
                **{f"score_{name}": value for name, value in answer["scores"].items()},
                **{f"unscored_{name}": reason for name, reason in answer["unscored"].items()},
            }


def _metric_rows(report: Row) -> Iterator[Row]:
    for metric in report["ceiling"].values():
        yield {**metric, "run_id": report["run_id"], "part": "reference", "metric": metric["name"]}
    for pair in report["pairs"]:
        fields = _pair_fields(report, pair)
        for group, part in _PARTS.items():
            for metric in pair[group].values():
                yield {**metric, **fields, "part": part, "metric": metric["name"]}
        for check in pair["checks"]:
            yield {**check, **fields, "part": "check", "check": check["kind"], "slice": check["slice"] or None}


def _answer_key(row: Row) -> tuple[str, str, str, int]:
    return row["pair_digest"], row["case_id"], row["arm"], row["repeat"]


def _texts(report: Row, settings: Settings) -> dict[tuple[str, str, str, int], Row]:
    """Return the texts of a run's answers from the tables that MLflow holds, by pair, case, arm and repeat."""
    from eval.tracking.store import CASES_FILE, Tracking
    from service.core.release.registry_store import check_store

    check_store(settings.registry.uri)
    tracking = Tracking(settings.registry.uri)
    found = {}
    for pair in report["pairs"]:
        records = tracking.records(report["task"], pair["pair_name"])
        for record in records:
            if record.evaluation_id != report["run_id"] or record.pair_digest != pair["pair_digest"]:
                continue
            table = json.loads(tracking.artifact(record.mlflow_run_id, CASES_FILE) or '{"columns": [], "data": []}')
            for values in table["data"]:
                row = dict(zip(table["columns"], values, strict=True)) | {"pair_digest": pair["pair_digest"]}
                found[_answer_key(row)] = {column.name: row.get(column.name) for column in TEXTS}
    return found
