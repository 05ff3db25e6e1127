"""The frame of releases: one row per verified entry of a task's ledger."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from eval.frames.columns import RELEASES, frame_of
from service.kit.settings import Settings

if TYPE_CHECKING:
    import pandas as pd

    from eval.release.audit import HistoryRow


def releases(task: str = "summarize", settings: Settings | None = None) -> "pd.DataFrame":
    """Return one row per release of ``task`` whose signature verifies, oldest first; columns: ``RELEASES``.

    Entries whose signature does not verify are left out; ``omni verify`` names them.

    Raises:
        RegistryError: the store cannot be read.
        ConfigurationError: the trusted keys cannot be read.
    """
    from eval.release.audit import Audit

    history = Audit(task, settings or Settings()).history()
    return frame_of(list(_rows(history)), RELEASES)


def _rows(history: list["HistoryRow"]) -> Iterator[dict[str, Any]]:
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
