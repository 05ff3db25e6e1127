"""GET /v1/calls/figures, /failures, /listed and a call's transcript: the tenant is the one of the token's client."""

from datetime import date, timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request, Response

from service.api.answering import runtime_of
from service.api.calls import REVIEW_CODES
from service.api.http.problems import TENANT_RESPONSES, Codes, refused, refusing
from service.api.http.tenancy import tenant_of
from service.api.qa.models import FailureList, ListedCalls, QualityAnswer, TranscriptAnswer, quality_of
from service.dashboards.calls import (
    WEEKS_DAYS,
    CallsAsked,
    FailuresAsked,
    ListAsked,
    ListKind,
    read_failures,
    read_figures,
    read_list,
)
from service.dashboards.definitions import load_calls_dashboard
from service.dashboards.errors import AskedInvalid, WarehouseUnreadable
from service.dashboards.reader import DashboardReader
from service.kit.frame.errors import StoreError
from service.kit.frame.strict import IsoDay
from service.warehouse.port import Warehouse

_CODES: Codes = {AskedInvalid: (422, "INVALID_REQUEST"), **REVIEW_CODES}
router = APIRouter(prefix="/v1/calls", tags=["calls"], route_class=refusing(_CODES))
_NO_STORE = {"Cache-Control": "no-store"}
_ID = r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,47}$"
_CallId = Annotated[str, Path(pattern=r"^call-[0-9a-f]{24}$")]
_FormId = Annotated[str | None, Query(pattern=_ID, description="The form; by default the one with most calls")]
_From = Annotated[
    IsoDay | None, Query(alias="from", description="First day (UTC); twelve weeks before `to` by default")
]
_To = Annotated[IsoDay | None, Query(alias="to", description="Last day (UTC); that of the newest call by default")]
_Group = Annotated[str | None, Query(max_length=64, description="One agent group (the call's queue); all by default")]
_MISSING = refused(404, "The tenant has no such call")


@router.get("/figures", response_model=QualityAnswer, responses=TENANT_RESPONSES)
async def call_figures(
    request: Request,
    response: Response,
    form_id: _FormId = None,
    from_day: _From = None,
    to_day: _To = None,
    agent_group: _Group = None,
) -> QualityAnswer:
    """Return the figures of the tenant's scored calls, each with n and interval; they are at most 30 seconds old.

    Overrides of the last minutes are in them when `omni calls work` has carried them to the warehouse. `from` must not be after
    `to`, and the range may hold 731 days at most.
    """
    response.headers.update(_NO_STORE)
    tenant, reader = tenant_of(request), _reader(request)
    asked = CallsAsked(form_id=form_id, from_day=from_day, to_day=to_day, agent_group=agent_group or None)

    def read(warehouse: Warehouse) -> Any:
        return read_figures(warehouse, load_calls_dashboard(), tenant, asked, read_at=reader.now())

    found = await reader.ask(("calls", tenant, asked), read)
    return quality_of(
        tenant, found, age_s=reader.age_s(found.read_at), simulated=runtime_of(request).settings.simulated
    )


@router.get("/failures", response_model=FailureList, responses=TENANT_RESPONSES)
async def call_failures(
    request: Request,
    response: Response,
    form_id: Annotated[str, Query(pattern=_ID)],
    criterion: Annotated[str, Query(pattern=_ID, description="Id of the criterion")],
    to_day: Annotated[IsoDay, Query(alias="to", description="Last day (UTC)")],
    from_day: _From = None,
    agent_group: _Group = None,
    agent: Annotated[str | None, Query(max_length=64, description="One agent; all by default")] = None,
) -> FailureList:
    """Return the tenant's calls that fail a criterion, newest first: what stands behind a cell of a heatmap.

    `from` must not be after `to`, and the range may hold 731 days at most.
    """
    response.headers.update(_NO_STORE)
    tenant, reader = tenant_of(request), _reader(request)
    asked = FailuresAsked(
        form_id=form_id,
        criterion=criterion,
        from_day=from_day or _first_of(to_day),
        to_day=to_day,
        agent_group=agent_group or None,
        agent=agent or None,
    )
    found = await reader.ask(("failures", tenant, asked), lambda warehouse: read_failures(warehouse, tenant, asked))
    return FailureList.model_validate({"criterion": criterion, "calls": found}, from_attributes=True)


@router.get("/listed", response_model=ListedCalls, responses=TENANT_RESPONSES)
async def listed_calls(
    request: Request,
    response: Response,
    kind: Annotated[ListKind, Query(description="A random sample of a week, the passed calls, or those to review")],
    form_id: Annotated[str, Query(pattern=_ID)],
    to_day: Annotated[IsoDay, Query(alias="to", description="Last day (UTC); of a sample, any day of its week")],
    from_day: _From = None,
    agent_group: _Group = None,
) -> ListedCalls:
    """Return calls to confirm that no failure leads to, newest first.

    The sample is drawn at random from the ISO week of `to`, and stays the same all week. `from` must not be after `to`, and the
    range may hold 731 days at most.
    """
    response.headers.update(_NO_STORE)
    tenant, reader = tenant_of(request), _reader(request)
    asked = ListAsked(
        kind=kind,
        form_id=form_id,
        from_day=from_day or _first_of(to_day),
        to_day=to_day,
        agent_group=agent_group or None,
    )
    found = await reader.ask(("listed", tenant, asked), lambda warehouse: read_list(warehouse, tenant, asked))
    first, last = asked.range
    return ListedCalls.model_validate({"kind": kind, "from": first, "to": last, "calls": found}, from_attributes=True)


@router.get("/{call_id}/transcript", response_model=TranscriptAnswer, responses={**TENANT_RESPONSES, **_MISSING})
async def call_transcript(call_id: _CallId, request: Request, response: Response) -> TranscriptAnswer:
    """Return one call's redacted transcript, with the position of each turn in the recording."""
    response.headers.update(_NO_STORE)
    tenant, calls = tenant_of(request), runtime_of(request).calls.reviews
    if calls is None:
        raise StoreError("this service keeps no calls: it has no AWS endpoint (locally: omni serve)")
    turns = await calls.threads.run(lambda: calls.transcript(tenant, call_id))
    said = {"call_id": call_id, "kept": turns is not None, "turns": turns or []}
    return TranscriptAnswer.model_validate(said, from_attributes=True)


def _reader(request: Request) -> DashboardReader:
    reader = runtime_of(request).dashboards
    if reader is None:
        raise WarehouseUnreadable("this service was built without a warehouse")
    return reader


def _first_of(to_day: date) -> date:
    return to_day - timedelta(days=min(WEEKS_DAYS - 1, (to_day - date.min).days))
