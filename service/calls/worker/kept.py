"""The redacted transcript of a call as it is stored, results that others have replaced, and the rows of stored results."""

from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict

from service.calls.keys import earlier_key
from service.calls.result import CallResult, rows_of
from service.calls.store.objects import TenantResults
from service.calls.store.states import CallJob
from service.core.tasks.scorecard.transcript import Turn
from service.warehouse.events import CallCriterionEvent, CallEvent
from service.warehouse.port import Warehouse
from service.warehouse.rows import to_table


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadyCall:
    """A call whose result is stored, but not yet its warehouse rows."""

    job: CallJob
    result: CallResult


def write_rows(open_warehouse: Callable[[], Warehouse], ready: Sequence[ReadyCall]) -> None:
    """Write the rows of calls whose results are stored, all or none."""
    made = [rows_of(one.result, one.job.result_key or "") for one in ready]
    with closing(open_warehouse()) as warehouse:
        warehouse.migrate()
        with warehouse.transaction():
            warehouse.merge(CallEvent, to_table(CallEvent, [call for call, _ in made]))
            criteria = [row for _, rows in made for row in rows]
            if criteria:
                warehouse.merge(CallCriterionEvent, to_table(CallCriterionEvent, criteria))


def set_aside(results: TenantResults, job: CallJob) -> None:
    """Copy a call's result to where replaced results stand; a second time changes nothing."""
    text = None if job.result_key is None else results.read(job.result_key)
    if text is not None:
        scored_at = CallResult.model_validate_json(text).scored_at
        results.put(earlier_key(job.tenant, job.call_id, scored_at), text, once=True)


class KeptTranscript(BaseModel):
    """A redacted transcript as it is stored; calls are scored from it, also later with other forms."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    tenant_id: str
    call_id: str
    turns: tuple[Turn, ...]
    by: str
    job: str | None
    claimed: dict[str, int] | None
    redactor: str
    found: dict[str, int]
    agent_id: str | None
    queue: str | None
    form: str | None
    # Transcripts that were stored before calls were observed have neither.
    languages: dict[str, int] = {}
    left: dict[str, int] = {}
