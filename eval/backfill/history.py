"""Where a backfill's items come from: a file of inputs, or what the service answered in one week."""

import json
from contextlib import closing
from pathlib import Path
from typing import Any

from eval.backfill.work import WorkItem
from eval.errors import BackfillError
from eval.harvest.candidates import week_bounds
from eval.harvest.source import open_stores
from service.settings import Settings
from service.warehouse import open_warehouse

_ANSWERED = """
SELECT request_id, source_key, generation_timestamp, summary_text FROM omni_summaries
WHERE task = :task AND generation_timestamp >= :since AND generation_timestamp < :until AND cache_hit = FALSE
ORDER BY request_id
"""


def items_of_file(path: Path) -> list[WorkItem]:
    """Return the items of a file of lines ``{"id": ..., "inputs": {...}, "text": ...}``; a case file is one.

    Raises:
        BackfillError: a line is none; which.
    """
    items = []
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as err:
        raise BackfillError(f"{path} cannot be read: {err}") from err
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            row: dict[str, Any] = json.loads(line)
            items.append(WorkItem(id=str(row["id"]), inputs=dict(row["inputs"]), text=row.get("text")))
        except (ValueError, KeyError, TypeError) as err:
            raise BackfillError(
                f'{path}:{number}: not {{"id": ..., "inputs": {{...}}}} ({type(err).__name__})'
            ) from err
    return items


def items_of_week(week: str, task: str, settings: Settings) -> tuple[list[WorkItem], int]:
    """Return one item per answered request of an ISO week, with the text that was shown, and how many have lost their history.

    Raises:
        HarvestError: it is no week.
        ServiceError: warehouse or stores do not answer.
    """
    since, until = week_bounds(week)
    with closing(open_warehouse(settings, read_only=True)) as warehouse:
        frame = warehouse.query(_ANSWERED, {"task": task, "since": since, "until": until})
    stores = open_stores(settings)
    items, gone = [], 0
    for row in frame.to_dict("records"):
        inputs = stores.inputs(str(row["source_key"]), row["generation_timestamp"])
        if inputs is None:
            gone += 1
        else:
            items.append(
                WorkItem(
                    id=str(row["request_id"]), inputs=inputs.model_dump(mode="json"), text=str(row["summary_text"])
                )
            )
    return items, gone
