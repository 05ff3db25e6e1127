"""POST /omni-channel-insights: the summary for the agent who takes a customer's next contact (R-REQUEST)."""

import json
import uuid
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Request, Response
from fastapi.routing import APIRoute
from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from service.answers_kept.items import is_side_key
from service.answers_kept.record import SeenInteraction, SummaryRecord
from service.answers_kept.reuse import ReuseLookup, ReuseOutcome, ReuseScope
from service.api.answer_path import Answered, Face, answer_request
from service.api.answering import runtime_of
from service.api.examples import examples
from service.api.http.limits import Bounded
from service.api.http.problems import RESPONSES
from service.api.http.tenancy import AccountRefused, may_see
from service.api.streaming import stream, wants_stream
from service.core.release.served import ServedPair
from service.core.run.task import TaskResult
from service.core.tasks.summarize import Summarize, SummarizeInputs
from service.core.unit.channel import RecordedChannel
from service.core.unit.customer import AccountNumber
from service.core.unit.interaction import HistoryFilter, Interaction, date_range
from service.core.unit.pair import Pair
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

    model_config = ConfigDict(extra="forbid", frozen=True, json_schema_extra=examples("InsightsRequest"))

    account_number: AccountNumber
    contact_id: _ContactId
    unique_process_id: Annotated[_ContactId, AfterValidator(_no_side_key)] | None = None
    initial_contact_id: _ContactId | None = None
    ivr_intent: str = Field(default="misc", max_length=120)
    channel_filter: Annotated[tuple[RecordedChannel, ...], Field(min_length=1)] | None = None


class InsightsResponse(BaseModel):
    """The summary and how it was made; times are UTC, latency is that of the whole request."""

    model_config = ConfigDict(extra="forbid", frozen=True, json_schema_extra=examples("InsightsResponse"))

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


_RESPONSE_FIELDS = InsightsResponse.model_fields.keys()
_NOT_KEPT = ("as_of", "interactions")  # of the inputs
_REASON = "contact_reason"
router = APIRouter(route_class=_PlainRoute)


@router.post(PATH, response_model=InsightsResponse, responses=RESPONSES, tags=["insights"])
async def omni_channel_insights(body: Bounded[InsightsRequest], request: Request) -> Response:
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
    log(
        Event.REQUEST_RECEIVED,
        path=PATH,
        account=account_hash(body.account_number),
        max_history_days=body.max_history_days,
        max_interactions=body.max_interactions,
    )
    face = SummaryFace(body, runtime_of(request))
    answered = await answer_request(face, request)
    kept = {name: getattr(face.record, name) for name in SummaryRecord.model_fields.keys() & _RESPONSE_FIELDS}
    latency = {"latency_ms": answered.facts["latency_ms"]}
    return InsightsResponse(**kept | latency, failure_code=None, kept=answered.kept)


class SummaryFace(Face[SummarizeInputs]):
    """``POST /omni-channel-insights``: a face of ``/v1/summarize`` that reads the history itself and may reuse a summary."""

    record: SummaryRecord  # once it is kept
    _inputs: SummarizeInputs
    _page: InteractionPage
    _lookup: ReuseLookup
    _outcome: ReuseOutcome

    def __init__(self, body: InsightsRequest, runtime: Runtime) -> None:
        super().__init__(runtime.answering.tasks[Summarize.name], runtime, tenant=None, unit=body.account_number)
        self._body = body
        self._initial = body.initial_contact_id or body.contact_id

    async def read(self, served: ServedPair) -> SummarizeInputs:
        """Read the history; the search for a summary to reuse begins before."""
        body, now, reuse = self._body, self.runtime.now(), self.runtime.summaries.reuse
        self._lookup = reuse.begin(reuse_scope(body, served.pair))
        try:
            self._page = await self.runtime.answering.interactions.history(body.account_number, body, now)
        except BaseException:
            reuse.drop(self._lookup)
            raise
        asked = {name: getattr(body, name) for name in InsightsRequest.model_fields}
        process = body.unique_process_id or _process_id(body.account_number, self._initial, body.contact_id)
        ids = {"initial_contact_id": self._initial, "unique_process_id": process}
        self._inputs = SummarizeInputs(**asked | ids, as_of=now, interactions=self._page.interactions)
        return self._inputs

    async def once(self, ask: Callable[[], Awaitable[TaskResult]], *, request_id: str, patience_s: float) -> TaskResult:
        """Return a recent summary of the same interactions, or else what ``ask`` returns."""
        self._outcome = await self.runtime.summaries.reuse.once(
            self._lookup, self._page.interactions, ask, request_id=request_id, patience_s=patience_s
        )
        return self._outcome.result

    async def keep(self, answered: Answered, *, patience_s: float) -> bool:
        """Keep the summary with what it was made of."""
        inputs, page = self._inputs, self._page
        self.record = SummaryRecord(
            **answered.facts,
            **{name: getattr(inputs, name) for name in SummarizeInputs.model_fields if name not in _NOT_KEPT},
            summary=answered.output,
            date_range=_range_text(page.interactions),
            cache_hit=self._outcome.reused_from is not None,
            reused_from=self._outcome.reused_from,
            reuse_key=self._outcome.reuse_key,
            interactions_considered=len(page.interactions),
            query=page.query,
            interactions=tuple(SeenInteraction.of(item) for item in page.interactions),
        )
        return await self.runtime.summaries.keep(self.record, patience_s=patience_s)

    def logged(self, answered: Answered) -> Mapping[str, Any]:
        """See ``Face.logged``."""
        return {
            "path": PATH,
            "account": account_hash(self._body.account_number),
            "cache_hit": self.record.cache_hit,
            "interactions": self.record.interactions_considered,
        }


def reuse_scope(body: InsightsRequest, pair: Pair) -> ReuseScope:
    """Return the fields that must equal an earlier request's for its summary to be reused."""
    return ReuseScope(
        account_number=body.account_number,
        initial_contact_id=body.initial_contact_id or body.contact_id,
        max_history_days=body.max_history_days,
        max_interactions=body.max_interactions,
        channel_filter=body.channel_filter,
        pair_digest=pair.digest,
        # With the contact reason in the prompt, the summary depends on it.
        reason=body.ivr_intent if any(_REASON in prompt.variables for prompt in pair.prompts) else "",
    )


def _process_id(account_number: str, initial_contact_id: str, contact_id: str) -> str:
    # A JSON list keeps ("a", "bc") and ("ab", "c") apart.
    return str(uuid.uuid5(_PROCESS_NAMESPACE, json.dumps([account_number, initial_contact_id, contact_id])))


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
