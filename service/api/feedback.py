"""POST /feedback: whether a summary helped the agent (R-FEEDBACK); a request names the summary in one of three ways."""

from typing import Annotated, Any, Literal, Self

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from service.answers_kept.feedback import (
    Ambiguous,
    ByContact,
    ByProcess,
    ByRequest,
    FeedbackStore,
    FeedbackTarget,
    RatedRow,
    Record,
    Recorded,
    SaidFeedback,
)
from service.api.answering import runtime_of
from service.api.examples import examples
from service.api.http.limits import Bounded
from service.api.http.problems import STORE_RESPONSES, problem, refused
from service.api.http.tenancy import may_see
from service.core.unit.customer import AccountNumber
from service.kit.frame.errors import StoreError
from service.kit.telemetry.log import Event, account_hash, log

PATH = "/feedback"
_PRINTABLE = r"^[^\x00-\x1f\x7f]+$"
_Id = Annotated[str, StringConstraints(min_length=1, max_length=128, pattern=_PRINTABLE)]

router = APIRouter(tags=["feedback"])


_SAID: dict[str, Any] = {
    "feedback": {"type": "string", "enum": ["helpful", "not_helpful"]},
    "comment": {"type": "string", "maxLength": 2000},
    "edited_summary": {"type": "string", "maxLength": 4000},
}


def _named_by(title: str, *names: str) -> dict[str, Any]:
    """Return the schema of one way to name a summary; whole, because generated clients make a class of it."""
    absent = {"unique_process_id", "contact_id", "customer_account", "request_id"} - set(names)
    types = {name: {"type": "string"} for name in names} | {name: {"type": "null"} for name in sorted(absent)}
    optional = {name: {"anyOf": [_SAID[name], {"type": "null"}]} for name in ("comment", "edited_summary")}
    fields = types | {"feedback": _SAID["feedback"]} | optional
    return {"title": title, "type": "object", "required": [*names, "feedback"], "properties": fields}


class FeedbackRequest(BaseModel):
    """Whether one summary helped; it is named by its process id, by contact and account, or by its request id."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        json_schema_extra=examples("FeedbackRequest")
        | {
            "oneOf": [
                _named_by("FeedbackByProcess", "unique_process_id"),
                _named_by("FeedbackByContact", "contact_id", "customer_account"),
                _named_by("FeedbackByRequest", "request_id"),
            ]
        },
    )

    unique_process_id: _Id | None = None
    contact_id: _Id | None = None
    customer_account: AccountNumber | None = None
    request_id: _Id | None = None
    feedback: Literal["helpful", "not_helpful"]
    comment: Annotated[str, StringConstraints(max_length=2000)] | None = Field(
        default=None, description="Why; please say what was wrong with an unhelpful summary"
    )
    edited_summary: Annotated[str, StringConstraints(max_length=4000)] | None = Field(
        default=None, description="What the summary should have said"
    )

    @model_validator(mode="after")
    def _one_shape(self) -> Self:
        if (self.contact_id is None) != (self.customer_account is None):
            raise ValueError("contact_id and customer_account belong together")
        if sum(name is not None for name in (self.unique_process_id, self.contact_id, self.request_id)) != 1:
            raise ValueError(
                "name the summary one way: unique_process_id, or contact_id with customer_account, or request_id"
            )
        return self

    def shape(self) -> FeedbackTarget:
        """Return how the summary is named."""
        if self.unique_process_id is not None:
            return ByProcess(unique_process_id=self.unique_process_id)
        if self.request_id is not None:
            return ByRequest(request_id=self.request_id)
        assert self.contact_id is not None
        assert self.customer_account is not None
        return ByContact(contact_id=self.contact_id, account_number=self.customer_account)


class FeedbackAnswer(BaseModel):
    """The feedback that was kept, and its summary. ``current`` is false when newer feedback on it was already kept."""

    model_config = ConfigDict(extra="forbid", frozen=True, json_schema_extra=examples("FeedbackAnswer"))

    feedback_id: str
    request_id: str
    unique_process_id: str
    contact_id: str
    feedback: Literal["helpful", "not_helpful"]
    feedback_timestamp: str
    current: bool


@router.post(
    PATH,
    response_model=FeedbackAnswer,
    responses={
        **refused(404, "No such summary, or it is older than seven days"),
        **refused(409, "Several summaries fit; `request_ids` names them, newest first"),
        **STORE_RESPONSES,
    },
)
async def feedback(body: Bounded[FeedbackRequest], request: Request) -> FeedbackAnswer | Response:
    """Keep whether a summary helped the agent. A repeat changes nothing; a later, different verdict replaces the first."""
    store = runtime_of(request).summaries.feedback
    if store is None:
        raise StoreError("this service keeps no summaries, so there is nothing to give feedback on")
    request_id = request.state.request_id
    # A browser's token is for one account; that of another one is not found, so that nobody learns which summaries exist.
    theirs = body.customer_account is None or may_see(request, body.customer_account)
    row = await store.find(body.shape()) if theirs else None
    if row is None or (isinstance(row, RatedRow) and not may_see(request, row.record.account_number)):
        detail = "there is no such summary, or it is older than seven days"
        return problem(request_id, status=404, code="SUMMARY_NOT_FOUND", detail=detail)
    if isinstance(row, Ambiguous):
        detail = f"{len(row.request_ids)} summaries fit: send one of request_ids as request_id"
        return problem(
            request_id, status=409, code="AMBIGUOUS_SUMMARY", detail=detail, request_ids=list(row.request_ids)
        )
    said = SaidFeedback(rating=body.feedback, comment=body.comment, edited=body.edited_summary)
    kept = await rate(request, store, row, said, account=account_hash(row.record.account_number))
    return FeedbackAnswer(
        feedback_id=kept.feedback_id,
        request_id=row.record.request_id,
        unique_process_id=row.record.unique_process_id,
        contact_id=row.record.contact_id,
        feedback=body.feedback,
        feedback_timestamp=kept.feedback_timestamp,
        current=kept.current,
    )


async def rate(
    request: Request, store: FeedbackStore[Record], row: RatedRow[Record], said: SaidFeedback, **about: str
) -> Recorded:
    """Keep a feedback, count it for the rollouts, and log it with the fields ``about``.

    Raises:
        StoreError: a store failed.
    """
    kept, record = await store.record(row, said), row.record
    if kept.effect in ("first", "changed"):  # a repeated click counts once
        for rollout in runtime_of(request).answering.rollouts.values():  # each counts only the pairs that it compares
            rollout.rate(record.pair_digest, helpful=said.rating == "helpful", changed=kept.effect == "changed")
    log(
        Event.FEEDBACK_RECORDED,
        **about,
        summary_request_id=record.request_id,
        feedback=said.rating,
        model_used=record.model_used,
        pair=record.pair,
        with_comment=said.comment is not None,
        with_edit=said.edited is not None,
    )
    return kept
