"""/v1/calls: lists and returns a tenant's scored calls, and keeps people's overrides beside the model's verdicts.

The tenant is the one of the token's client. An override never changes the model's result.
"""

from functools import partial
from typing import Annotated

from fastapi import APIRouter, Path, Query, Request, Response
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints

from service.api.answering import runtime_of
from service.api.examples import examples
from service.api.http.limits import Bounded
from service.api.http.problems import TENANT_RESPONSES, Codes, FieldProblem, problem, refused, refusing
from service.api.http.tenancy import tenant_of
from service.calls.result import CallResult, Number
from service.calls.reviews import LONGEST_REASON, CallReviews, ReviewRefused
from service.calls.store.overrides import Override
from service.calls.store.pages import MOST, WrongCursor
from service.calls.store.states import CallJob, State
from service.core.tasks.scorecard.arithmetic import Rating
from service.kit.frame.errors import StoreError
from service.kit.frame.strict import WHOLE_NUMBER, IsoDay

REVIEW_CODES: Codes = {kind: (kind.status, kind.code) for kind in ReviewRefused.__subclasses__()}
router = APIRouter(prefix="/v1/calls", tags=["calls"], route_class=refusing(REVIEW_CODES))
_CallId = Annotated[str, Path(pattern=r"^call-[0-9a-f]{24}$")]
_CriterionId = Annotated[str, Path(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,47}$")]
_FormId = Annotated[str | None, Query(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,47}$")]
_Cursor = Annotated[str | None, Query(max_length=128, description="`next` of the previous page")]
_MISSING = refused(404, "The tenant has no such call")
_UNDONE = {
    **refused(404, "The tenant has no such call, or it was not scored on such a criterion"),
    **refused(409, "Another override was saved since `edit` was read, or the call has no scorecard"),
}


class CallFacts(BaseModel):
    """One call in the list. The figures are null where there is no score; ``failure`` says why a call failed."""

    call_id: str
    call_date: AwareDatetime
    state: State
    form_id: str | None
    form_version: int | None
    percentage: Number | None
    passed: bool | None
    failure: str | None


class CallList(BaseModel):
    """A page of the tenant's calls, newest first. The last page has no ``next``; a filtered page may be short."""

    model_config = ConfigDict(json_schema_extra=examples("CallList"))

    tenant: str
    calls: list[CallFacts]
    next: str | None


class OverrideAnswer(BaseModel):
    """A person's verdict beside the model's; ``agrees``: both are the same. Send ``edit`` with the next override."""

    model_config = ConfigDict(json_schema_extra=examples("OverrideAnswer"))

    call_id: str
    criterion: str
    edit: int
    verdict: Rating
    model_verdict: Rating | None
    agrees: bool
    reason: str
    who: str
    at: AwareDatetime


class CallAnswer(BaseModel):
    """A call, the model's result (null: none yet, or deleted after its retention), and each criterion's newest override."""

    model_config = ConfigDict(json_schema_extra=examples("CallAnswer"))

    call: CallFacts
    result: CallResult | None
    overrides: list[OverrideAnswer]


class OverrideRequest(BaseModel):
    """A person's verdict on one criterion, kept under the token's client. One that equals the model's confirms it."""

    model_config = ConfigDict(extra="forbid", frozen=True, json_schema_extra=examples("OverrideRequest"))

    edit: Annotated[
        int,
        Field(ge=0, le=100_000_000, description="`edit` of the override as you read it; 0 when there was none"),
        WHOLE_NUMBER,
    ]
    verdict: Rating
    reason: Annotated[str, StringConstraints(max_length=LONGEST_REASON)] = Field(
        default="", description="Why; personal data is removed before it is kept"
    )


@router.get("", response_model=CallList, responses=TENANT_RESPONSES)
async def list_calls(
    request: Request,
    state: State | None = None,
    day: Annotated[IsoDay | None, Query(description="The UTC day of the call")] = None,
    form_id: _FormId = None,
    limit: Annotated[int, Query(ge=1, le=MOST)] = 50,
    after: _Cursor = None,
) -> CallList | Response:
    """Return the tenant's calls, newest first; ``state``, ``day`` and ``form_id`` filter them.

    ``after`` is the `next` of a page with the same ``day``.
    """
    tenant, calls = tenant_of(request), _calls(request)
    ask = partial(calls.pages.page, tenant, limit=limit, day=day, state=state, form_id=form_id, after=after)
    try:
        page = await calls.threads.run(ask)
    except WrongCursor as err:
        wrong = [FieldProblem(field="after", message=str(err))]
        return problem(request.state.request_id, status=422, code="INVALID_REQUEST", detail=str(err), errors=wrong)
    return CallList(tenant=tenant, calls=[_facts(job) for job in page.jobs], next=page.after)


@router.get("/{call_id}", response_model=CallAnswer, responses={**TENANT_RESPONSES, **_MISSING})
async def get_call(call_id: _CallId, request: Request) -> CallAnswer:
    """Return one call's result and its overrides. Scores are the model's: an override changes none of them."""
    tenant, calls = tenant_of(request), _calls(request)
    found = await calls.threads.run(lambda: calls.read(tenant, call_id))
    return CallAnswer(
        call=_facts(found.job), result=found.result, overrides=[_answer(item) for item in found.overrides]
    )


@router.put(
    "/{call_id}/criteria/{criterion}/override", response_model=OverrideAnswer, responses={**TENANT_RESPONSES, **_UNDONE}
)
async def override(
    call_id: _CallId, criterion: _CriterionId, body: Bounded[OverrideRequest], request: Request
) -> OverrideAnswer:
    """Keep a verdict beside the model's. Repeating a client's newest override changes nothing, whatever `edit` is sent."""
    tenant, calls = tenant_of(request), _calls(request)
    ask = partial(
        calls.override,
        tenant,
        call_id,
        criterion,
        body.verdict,
        reason=body.reason,
        who=request.state.caller.client_id,
        edit=body.edit,
    )
    return _answer(await calls.threads.run(ask))


def _calls(request: Request) -> CallReviews:
    calls = runtime_of(request).calls.reviews
    if calls is None:
        raise StoreError("this service keeps no calls: it has no AWS endpoint (locally: omni serve)")
    return calls


def _facts(job: CallJob) -> CallFacts:
    scores = {name: getattr(job.scored, name, None) for name in ("form_id", "form_version", "percentage", "passed")}
    return CallFacts(
        call_id=job.call_id,
        call_date=job.call_date,
        state=job.state,
        **scores,
        failure=None if job.reason is None else f"{job.reason}: {job.detail}",
    )


def _answer(said: Override) -> OverrideAnswer:
    return OverrideAnswer.model_validate(said, from_attributes=True)
