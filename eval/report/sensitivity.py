"""How small a fault of each kind the gate can still see: the last dose-response that was written down for the task."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from eval.spine.suite import Suite
from service.kit.settings import REPO_ROOT

FILE = "sensitivity.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class SensitivityRow:
    """One kind of harm: what it does, who sees it, and the smallest share of answers (0 to 1) that the gate does not pass.

    ``smallest`` is None where even the largest share that was tried passes; ``seen`` is False where nobody looked.
    """

    kind: str
    does: str
    judge: str
    smallest: float | None
    seen: bool

    @property
    def outcome(self) -> str:
        """What became of this kind, in words."""
        if not self.seen:
            return "No judge model looked for these"
        if self.smallest is None:
            return "Passed at every share that was tried"
        return f"Seen from {self.smallest:.0%} of the answers on"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sensitivity:
    """A written dose-response. ``current`` says whether it was measured with the suite as it is now."""

    rows: tuple[SensitivityRow, ...]
    measured: str
    cases: int
    current: bool

    @property
    def outcomes(self) -> list[tuple[str, list[SensitivityRow]]]:
        """The rows by what became of them, the kinds that slip through first."""

        def rank(row: SensitivityRow) -> tuple[bool, bool, float]:
            return row.seen, row.smallest is not None, -(row.smallest or 0)

        return [(words, list(rows)) for words, rows in groupby(sorted(self.rows, key=rank), lambda row: row.outcome)]


def path_of(task: str, root: Path = REPO_ROOT) -> Path:
    """Return where a task's dose-response is written down."""
    return root / "datasets" / task / FILE


def sensitivity_of(suite: Suite, root: Path = REPO_ROOT, *, judged: bool = False) -> Sensitivity | None:
    """Return the dose-response of the suite's task; None if none was written down, or not one of ours.

    ``judged``: whether a licensed judge took part. Only the rows of that set-up are returned: without a judge those of code
    alone, with one the judge's, and code's for the faults that no judge was asked about.
    """
    try:
        raw = json.loads(path_of(suite.task, root).read_text(encoding="utf-8"))
        return Sensitivity(
            rows=_of_the_set_up([SensitivityRow(**row) for row in raw["rows"]], judged=judged),
            measured=str(raw["measured"]),
            cases=int(raw["cases"]),
            current=raw["suite_digest"] == suite.digest,
        )
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _of_the_set_up(rows: Sequence[SensitivityRow], *, judged: bool) -> tuple[SensitivityRow, ...]:
    asked = {row.kind for row in rows if row.judge} if judged else set()
    return tuple(row for row in rows if bool(row.judge) is (row.kind in asked))
