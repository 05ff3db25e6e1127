"""POST /account-token: a token that a program hands to an agent's browser, good for one customer's summaries alone."""

from typing import Any

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, ConfigDict

from service.access.account_tokens import account_token
from service.api.answering import runtime_of
from service.api.examples import examples
from service.api.http.limits import Bounded
from service.api.http.problems import RESPONSES, problem
from service.core.unit.customer import AccountNumber

router = APIRouter(tags=["access"])


class AccountTokenRequest(BaseModel):
    """The account that the agent's contact is about."""

    model_config = ConfigDict(extra="forbid", frozen=True, json_schema_extra=examples("AccountTokenRequest"))

    account_number: AccountNumber


class AccountToken(BaseModel):
    """The token, its lifetime in seconds and what it allows for this account."""

    model_config = ConfigDict(extra="forbid", frozen=True, json_schema_extra=examples("AccountToken"))

    token: str
    expires_in: int
    scope: str


@router.post(
    "/account-token",
    response_model=AccountToken,
    responses={status: RESPONSES[status] for status in (422, 500)},
)
async def new_account_token(body: Bounded[AccountTokenRequest], request: Request, response: Response) -> Any:
    """Return a token for one account's summaries and the feedback on them: an agent's browser may have it.

    It lasts an hour and opens nothing else. Its holder may send 2 requests per second (30 at first).
    """
    response.headers["Cache-Control"] = "no-store"
    access = runtime_of(request).access
    if access is None:
        detail = "access control is off: no token is needed"
        return problem(request.state.request_id, status=401, code="UNAUTHORIZED", detail=detail)
    token = account_token(access.tokens, request.state.caller, body.account_number)
    return AccountToken(token=token.text, expires_in=token.expires_in_s, scope=" ".join(token.scopes))
