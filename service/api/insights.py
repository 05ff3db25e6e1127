"""POST /omni-channel-insights: the summary for the agent who takes a customer's next contact (R-REQUEST)."""

import json
import uuid
from collections.abc import Callable, Coroutine
from datetime import datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Request, Response
from fastapi.routing import APIRoute
from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from service.answers_kept.items import is_side_key
from service.answers_kept.reuse import ReuseOutcome
from service.api.answering import Timer, answer, runtime_of, short_name, start_timer, usd
from service.api.http.problems import RESPONSES
from service.api.http.tenancy import AccountRefused, may_see
from service.api.kept import reuse_scope, summary_record
from service.api.streaming import stream, wants_stream
from service.core.release.served import ServedPair
from service.core.tasks.summarize import Summarize, SummarizeInputs
from service.core.unit.channel import RecordedChannel
from service.core.unit.interaction import HistoryFilter, Interaction, date_range
from service.interactions.reader import InteractionPage
from service.kit.telemetry.log import Event, account_hash, log
from service.runtime import Runtime

PATH = "/omni-channel-insights"
# Must never change: a retry of the same request must give the same process id.
_PROCESS_NAMESPACE = uuid.uuid5(uuid.NAMESPACE_URL, "urn:omni-channel-insights:process")
_PRINTABLE = r"^[^\x00-\x1f\x7f]+$"  # ids become keys of stores and lines of logs
_ContactId = Annotated[str, Field(min_length=1, max_length=128, pattern=_PRINTABLE)]


def _no_side_key(process_id: str) -> str:
    if is_side_key(process_id):
        raise ValueError("must not end in '#req-' and twelve digits: that is the key of an earlier answer")
    return process_id


class InsightsRequest(HistoryFilter):
    """The customer's account and contact, and how much history the summary may use."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        json_schema_extra={
            "examples": [
                {
                    "account_number": "1234567890",
                    "contact_id": "abc-123-xyz",
                    "ivr_intent": "billing",
                    "max_history_days": 90,
                    "max_interactions": 10,
                    "channel_filter": ["ivr", "agent"],
                }
            ]
        },
    )

    account_number: str = Field(min_length=4, max_length=32, pattern=_PRINTABLE)
    contact_id: _ContactId
    unique_process_id: Annotated[_ContactId, AfterValidator(_no_side_key)] | None = None
    initial_contact_id: _ContactId | None = None
    ivr_intent: str = Field(default="misc", max_length=120)
    channel_filter: Annotated[tuple[RecordedChannel, ...], Field(min_length=1)] | None = None


class InsightsResponse(BaseModel):
    """The summary and how it was made; times are UTC, latency is that of the whole request."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        json_schema_extra={
            "examples": [
                {
                    "contact_id": "abc-123-xyz",
                    "request_id": "req-0123456789ab",
                    "unique_process_id": "6e1b8f0a-51c5-5ad5-9d0e-27a9c4a0a2d1",
                    "initial_contact_id": "abc-123-xyz",
                    "account_number": "1234567890",
                    "summary": "Customer called 3 times in the past week about a billing discrepancy. A $45 charge dispute "
                    "from Nov 2025 is unresolved and with the billing department.",
                    "date_range": "2025-11-08 to 2025-12-08",
                    "model_used": "nova-lite",
                    "answered_by": "nova-lite",
                    "cache_hit": False,
                    "prompt_cache_read_tokens": 1980,
                    "latency_ms": 1847,
                    "generated_at": "2025-12-08T14:32:15.120Z",
                    "max_history_days": 90,
                    "max_interactions": 10,
                    "channel_filter": ["ivr", "agent"],
                    "prompt_version": "v1.2.0",
                    "pair": "nova-lite",
                    "pair_digest": "9f2c0d5e" * 8,
                    "registry_version": 7,
                    "degraded": False,
                    "failure_code": None,
                    "cost_usd": "0.000228",
                    "interactions_considered": 5,
                    "kept": True,
                }
            ]
        },
    )

    contact_id: str
    request_id: str
    unique_process_id: str
    initial_contact_id: str
    account_number: str
    summary: str
    date_range: str | None = Field(
        description="First to last day of the interactions seen", examples=["2025-11-08 to 2025-12-08"]
    )
    model_used: str = Field(description="Short name of the model asked for; 'none' when there was nothing to summarise")
    answered_by: str = Field(
        description="The model that answered; differs from model_used when a stand-in answers for it"
    )
    cache_hit: bool = Field(description="A stored summary was reused; not the provider's prompt cache")
    prompt_cache_read_tokens: int
    latency_ms: int
    generated_at: str
    max_history_days: int
    max_interactions: int
    channel_filter: tuple[RecordedChannel, ...] | None
    prompt_version: str
    pair: str
    pair_digest: str
    registry_version: int
    degraded: bool = Field(description="No model answered in time: the summary is the extractive digest")
    failure_code: Literal[None]
    cost_usd: str | None
    interactions_considered: int
    kept: bool = Field(
        description="Stored durably before it was sent. False: the store did not confirm in time, and the answer waits on the "
        "service's own disk until it does; lost only if that machine is lost first"
    )


class _PlainRoute(APIRoute):
    """Parses a valid JSON body itself, in a fifth of FastAPI's time; every other body goes to FastAPI, which reports errors."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        fastapi_handler = super().get_route_handler()

        async def handle(request: Request) -> Response:
            body = await _plain_body(request)
            return await (fastapi_handler(request) if body is None else omni_channel_insights(body, request))

        return handle


async def _plain_body(request: Request) -> InsightsRequest | None:
    if request.headers.get("content-type", "").partition(";")[0] != "application/json":
        return None
    try:
        # json.loads as in FastAPI: pydantic's own JSON parser accepts other number formats.
        return InsightsRequest.model_validate(json.loads(await request.body()))
    except (ValueError, RecursionError):
        return None


router = APIRouter(route_class=_PlainRoute)


@router.post(PATH, response_model=InsightsResponse, responses=RESPONSES, tags=["insights"])
async def omni_channel_insights(body: InsightsRequest, request: Request) -> Response:
    """Summarise the customer's last interactions across channels. `Accept: text/event-stream` streams it as it is written."""
    if not may_see(request, body.account_number):
        raise AccountRefused
    if wants_stream(request.headers.get("accept")):
        return await stream(lambda: summarise(body, request), text_field="summary", request_id=request.state.request_id)
    insights = await summarise(body, request)
    # A finished response: FastAPI would validate a returned model again.
    response = Response(insights.model_dump_json().encode(), media_type="application/json")
    response.headers.update(_headers(insights))
    return response


async def summarise(body: InsightsRequest, request: Request) -> InsightsResponse:
    """Read the history, summarise it or reuse a stored summary, keep the record, and return the response body.

    Raises:
        ServiceError: no pair, no history in time, or no answer; carries the failure code.
    """
    runtime = runtime_of(request)
    timer = start_timer(runtime)
    now = runtime.now()
    account = account_hash(body.account_number)
    log(
        Event.REQUEST_RECEIVED,
        path=PATH,
        account=account,
        max_history_days=body.max_history_days,
        max_interactions=body.max_interactions,
    )
    served = runtime.pair_for(Summarize.name, body.account_number)
    reuse = runtime.summaries.reuse
    lookup = reuse.begin(
        reuse_scope(
            body,
            account_number=body.account_number,
            initial_contact_id=body.initial_contact_id or body.contact_id,
            ivr_intent=body.ivr_intent,
            pair=served.pair,
        )
    )
    try:
        page = await runtime.interactions.history(body.account_number, body, now)
    except BaseException:
        reuse.drop(lookup)
        raise
    inputs = _inputs(body, page, now)
    answered = await reuse.once(
        lookup,
        page.interactions,
        lambda: answer(Summarize.name, inputs, served=served, runtime=runtime, timer=timer),
        request_id=request.state.request_id,
        patience_s=max(served.pair.serving.deadline_ms - timer.elapsed_ms(), 0.0) / 1000,
    )
    insights = _response(
        inputs, answered, page=page, served=served, runtime=runtime, timer=timer, request_id=request.state.request_id
    )
    kept = await _keep(insights, inputs, page, answered, served=served, request=request, timer=timer)
    insights = insights.model_copy(update={"kept": kept, "latency_ms": round(timer.elapsed_ms())})
    _log_completed(insights, account=account, arm=answered.result.arm)
    return insights


async def _keep(
    insights: InsightsResponse,
    inputs: SummarizeInputs,
    page: InteractionPage,
    answered: ReuseOutcome,
    *,
    served: ServedPair,
    request: Request,
    timer: Timer,
) -> bool:
    runtime = runtime_of(request)
    caller = getattr(request.state, "caller", None)  # None without access control (the harness)
    return await runtime.summaries.keep(
        summary_record(
            insights.model_dump(),
            inputs,
            page,
            answered,
            client="unknown" if caller is None else caller.client_id,
            rollout_arm=served.rollout_arm,
            environment=runtime.settings.environment,
        ),
        patience_s=max(served.pair.serving.deadline_ms - timer.elapsed_ms(), 0.0) / 1000,
    )


def _log_completed(insights: InsightsResponse, *, account: str, arm: str) -> None:
    log(
        Event.REQUEST_COMPLETED,
        path=PATH,
        account=account,
        model_used=insights.model_used,
        answered_by=insights.answered_by,
        arm=arm,
        degraded=insights.degraded,
        cache_hit=insights.cache_hit,
        latency_ms=insights.latency_ms,
        cost_usd=insights.cost_usd,
        pair=insights.pair,
        registry_version=insights.registry_version,
        interactions=insights.interactions_considered,
    )


def _inputs(body: InsightsRequest, page: InteractionPage, as_of: datetime) -> SummarizeInputs:
    initial = body.initial_contact_id or body.contact_id
    process = body.unique_process_id or _process_id(body.account_number, initial, body.contact_id)
    return SummarizeInputs(
        as_of=as_of,
        account_number=body.account_number,
        contact_id=body.contact_id,
        initial_contact_id=initial,
        unique_process_id=process,
        ivr_intent=body.ivr_intent,
        interactions=page.interactions,
        max_history_days=body.max_history_days,
        max_interactions=body.max_interactions,
        channel_filter=body.channel_filter,
    )


def _process_id(account_number: str, initial_contact_id: str, contact_id: str) -> str:
    # A JSON list keeps ("a", "bc") and ("ab", "c") apart.
    return str(uuid.uuid5(_PROCESS_NAMESPACE, json.dumps([account_number, initial_contact_id, contact_id])))


def _response(
    inputs: SummarizeInputs,
    answered: ReuseOutcome,
    *,
    page: InteractionPage,
    served: ServedPair,
    runtime: Runtime,
    timer: Timer,
    request_id: str,
) -> InsightsResponse:
    result = answered.result
    assert result.output is not None
    assert inputs.initial_contact_id is not None
    assert inputs.unique_process_id is not None
    return InsightsResponse(
        contact_id=inputs.contact_id,
        request_id=request_id,
        unique_process_id=inputs.unique_process_id,
        initial_contact_id=inputs.initial_contact_id,
        account_number=inputs.account_number,
        summary=result.output,
        date_range=_range_text(page.interactions),
        model_used=short_name(result.model, runtime),
        answered_by=short_name(result.answered_by, runtime),
        cache_hit=answered.reused_from is not None,
        prompt_cache_read_tokens=result.usage.cache_read_tokens,
        latency_ms=round(timer.elapsed_ms()),
        generated_at=runtime.now().isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        max_history_days=inputs.max_history_days,
        max_interactions=inputs.max_interactions,
        channel_filter=inputs.channel_filter,
        prompt_version=f"v{served.pair.version}",
        pair=served.pair.name,
        pair_digest=served.pair.digest,
        registry_version=served.registry_version,
        degraded=result.degraded,
        failure_code=None,
        cost_usd=usd(result),
        interactions_considered=len(page.interactions),
        kept=False,  # until it is
    )


def _range_text(interactions: tuple[Interaction, ...]) -> str | None:
    days = date_range(list(interactions))
    return None if days is None else f"{days[0].isoformat()} to {days[1].isoformat()}"


def _headers(insights: InsightsResponse) -> dict[str, str]:
    fields: dict[str, Any] = {
        "X-Model-Used": insights.model_used,
        "X-Cache-Hit": str(insights.cache_hit).lower(),
        "X-Prompt-Cache-Hit": str(insights.prompt_cache_read_tokens > 0).lower(),
        "X-Latency-Ms": str(insights.latency_ms),
    }
    return fields
