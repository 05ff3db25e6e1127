"""/v1/calls/rescorings: what scoring stored calls again would cost, and orders to do it, which `omni calls work` carries out.

The tenant is the one of the token's client.
"""

from typing import Annotated

from fastapi import APIRouter, Header, Path, Query, Request, Response

from service.api.answering import runtime_of
from service.api.http.limits import Bounded
from service.api.http.problems import TENANT_RESPONSES, Codes, FieldProblem, problem, refused, refusing
from service.api.http.tenancy import tenant_of
from service.api.rescorings.models import (
    RescoringAnswer,
    RescoringEstimate,
    RescoringList,
    RescoringRequest,
)
from service.calls.rescorings import RescoringDesk, RescoringRange, RescoringRefused
from service.calls.store.form_store import FormMissing
from service.calls.store.rescorings import OrderMissing
from service.kit.frame.errors import StoreError
from service.kit.frame.strict import IsoDay

_PATH = "/v1/calls/rescorings"
_CODES: Codes = {
    FormMissing: (404, "FORM_NOT_FOUND"),
    OrderMissing: (404, "RESCORING_NOT_FOUND"),
    RescoringRefused: (409, "RESCORING_REFUSED"),
}
router = APIRouter(prefix=_PATH, tags=["calls"], route_class=refusing(_CODES))
_RescoringId = Annotated[str, Path(pattern=r"^rescoring-[0-9a-f]{24}$")]
_Key = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        pattern=r"^[A-Za-z0-9_.:-]{1,128}$",
        description="Orders with one key are one order; without a key, orders with one content",
    ),
]
_NO_FORM = refused(404, "The tenant has no such form, or no such or no active version of it")
_REFUSED = refused(409, "The Idempotency-Key was sent with another order")
_MISSING = refused(404, "The tenant has no such order")


@router.get("/estimate", response_model=RescoringEstimate, responses={**TENANT_RESPONSES, **_NO_FORM})
async def estimate_rescoring(
    request: Request,
    form_id: Annotated[str, Query(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,47}$")],
    version: Annotated[int | None, Query(ge=1, le=1_000_000, description="The active one by default")] = None,
    from_day: Annotated[IsoDay | None, Query(alias="from", description="First day (UTC)")] = None,
    to_day: Annotated[IsoDay | None, Query(alias="to", description="Last day (UTC)")] = None,
) -> RescoringEstimate | Response:
    """Return how many calls an order would score again, what that costs, and how long it takes. Orders nothing.

    `from` must not be after `to`.
    """
    tenant, desk = tenant_of(request), _desk(request)
    within = RescoringRange(form_id=form_id, version=version, from_day=from_day, to_day=to_day)
    if within.is_empty:
        return _wrong_range(request, "from", "to")
    return RescoringEstimate.of(await desk.estimate(tenant, within))


@router.post(
    "", status_code=202, response_model=RescoringAnswer, responses={**TENANT_RESPONSES, **_NO_FORM, **_REFUSED}
)
async def order_rescoring(
    body: Bounded[RescoringRequest], request: Request, response: Response, key: _Key = None
) -> RescoringAnswer | Response:
    """Order that stored calls are scored again, and answer with the order; `Location` is where its progress stands.

    The worker asks about each call once, scores new calls first, and goes on after it was stopped. A person's overrides stay.
    Sent again, an order is answered as it stands by now. `from_day` must not be after `to_day`.
    """
    tenant, desk = tenant_of(request), _desk(request)
    within = body.asked()
    if within.is_empty:
        return _wrong_range(request, "from_day", "to_day")
    by = request.state.caller.client_id
    made = await desk.order(tenant, within, most_calls=body.most_calls, most_usd=body.most_usd, key=key, by=by)
    response.headers["Location"] = f"{_PATH}/{made.rescoring_id}"
    return RescoringAnswer.of(made)


@router.get("", response_model=RescoringList, responses=TENANT_RESPONSES)
async def list_rescorings(request: Request) -> RescoringList:
    """Return the tenant's orders, newest first."""
    tenant = tenant_of(request)
    found = await _desk(request).all(tenant)
    return RescoringList(tenant=tenant, rescorings=[RescoringAnswer.of(order) for order in found])


@router.get("/{rescoring_id}", response_model=RescoringAnswer, responses={**TENANT_RESPONSES, **_MISSING})
async def get_rescoring(rescoring_id: _RescoringId, request: Request) -> RescoringAnswer:
    """Return an order with what is done, left and failed, what it has cost so far, and why it stopped."""
    tenant = tenant_of(request)
    return RescoringAnswer.of(await _desk(request).get(tenant, rescoring_id))


@router.post("/{rescoring_id}/cancel", response_model=RescoringAnswer, responses={**TENANT_RESPONSES, **_MISSING})
async def cancel_rescoring(rescoring_id: _RescoringId, request: Request) -> RescoringAnswer:
    """End an order: the call that is being scored is finished, and no other is begun. One that has ended stays as it is."""
    tenant = tenant_of(request)
    return RescoringAnswer.of(await _desk(request).cancel(tenant, rescoring_id, by=request.state.caller.client_id))


def _desk(request: Request) -> RescoringDesk:
    desk = runtime_of(request).calls.rescorings
    if desk is None:
        raise StoreError("this service keeps no calls: it has no AWS endpoint (locally: omni serve)")
    return desk


def _wrong_range(request: Request, first: str, last: str) -> Response:
    said = f"{first} is after {last}"
    errors = [FieldProblem(field=first, message=said)]
    return problem(request.state.request_id, status=422, code="INVALID_REQUEST", detail=said, errors=errors)
