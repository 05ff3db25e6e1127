"""Reads a backfill's items from a file of inputs or from the requests that the service answered in one week."""

from contextlib import closing
from pathlib import Path
from typing import Any

from eval.backfill.work import WorkItem
from eval.harvest.candidates import week_bounds
from eval.harvest.sources.summarize import open_stores
from eval.spine.errors import BackfillError
from service.kit.frame.strict import NotStrict, lines_of, parse_json, read_strict
from service.kit.settings import Settings
from service.warehouse import open_warehouse

_ANSWERED = """
SELECT request_id, source_key, generation_timestamp, summary_text FROM omni_summaries
WHERE task = :task AND generation_timestamp >= :since AND generation_timestamp < :until AND cache_hit = FALSE
ORDER BY request_id
"""


def items_of_file(path: Path) -> list[WorkItem]:
    """Return the items of a file with lines ``{"id": ..., "inputs": {...}, "text": ...}``, such as a case file.

    Raises:
        BackfillError: the file cannot be read, or a line is not an item; the message names the line.
    """
    items = []
    try:
        lines = lines_of(read_strict(path))
    except (OSError, NotStrict) as err:
        raise BackfillError(f"{path} cannot be read: {err}") from err
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            row: dict[str, Any] = parse_json(line)
            items.append(
                WorkItem(
                    id=str(row["id"]),
                    inputs=dict(row["inputs"]),
                    text=row.get("text"),
                    expectations=dict(row.get("expectations", {})),
                )
            )
        except (ValueError, KeyError, TypeError) as err:
            raise BackfillError(
                f'{path}:{number}: the line is not {{"id": ..., "inputs": {{...}}}} ({type(err).__name__}); correct it'
            ) from err
    return items


def items_of_week(week: str, task: str, settings: Settings) -> tuple[list[WorkItem], int]:
    """Return an item with the shown text per request answered in an ISO week, and the number whose history no longer exists.

    Raises:
        HarvestError: ``week`` is not an ISO week.
        ServiceError: the warehouse or a store does not answer.
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
