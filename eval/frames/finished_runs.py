"""Finds the reports of finished runs and reads them."""

import json
import re
from pathlib import Path
from typing import Any

from eval.report.page import JSON_NAME, SCHEMA
from eval.run.journal import Journal
from eval.spine.errors import ResultsError
from figures.command_line import omni
from figures.files import out_folder
from service.kit.settings import Settings

LAST = "last"
_RUN_ID = re.compile(r"\d{8}T\d{6}-[0-9a-f]{4}")


def run_ids(settings: Settings) -> list[str]:
    """Return the ids of the runs that have a report, newest first."""
    found = out_folder(settings.root, "eval").glob(f"*/{JSON_NAME}")
    return sorted((path.parent.name for path in found if _RUN_ID.fullmatch(path.parent.name)), reverse=True)


def matching_runs(run: str, settings: Settings) -> list[str]:
    """Return the ids that ``run`` may mean, newest first: the newest for ``last``, else those that begin with it."""
    ids = run_ids(settings)
    if not ids:
        raise ResultsError(f"no run has finished here yet: run `{omni('eval')}`")
    found = ids[:1] if run == LAST else [name for name in ids if name.startswith(run)]
    if found:
        return found
    unfinished = Journal(settings.state_dir / "runs").unfinished(run)
    if unfinished is not None:
        raise ResultsError(
            f"run {unfinished} has not finished: the same `{omni('eval')}` again completes it; "
            f"`{omni('results')}` lists the finished ones"
        )
    raise ResultsError(f"no finished run begins with {run!r}; `{omni('results')}` lists them")


def the_run(run: str, settings: Settings) -> str:
    """Return the id of the one run that ``run`` means: an id, the beginning of one, or ``last``."""
    found = matching_runs(run, settings)
    if len(found) > 1:
        shown = ", ".join(found[:3]) + (", ..." if len(found) > 3 else "")
        raise ResultsError(f"{len(found)} runs begin with {run!r} ({shown}); type more of the id")
    return found[0]


def read_report(run_id: str, settings: Settings) -> dict[str, Any]:
    """Return what ``report.json`` holds of a run.

    Raises:
        ResultsError: the file is damaged, or another version of the harness wrote it.
    """
    path: Path = out_folder(settings.root, "eval") / run_id / JSON_NAME
    try:
        report = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as err:
        raise ResultsError(
            f"{path} cannot be read ({type(err).__name__}); evaluate again and remove the folder"
        ) from err
    if not isinstance(report, dict) or report.get("schema") != SCHEMA:
        raise ResultsError(f"{path} is no {SCHEMA}: another version of the harness wrote it; evaluate again")
    return report
