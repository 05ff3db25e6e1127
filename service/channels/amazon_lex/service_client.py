"""Calls the service over HTTP, with a token of its own and bounded repetitions."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial

import httpx2
from pydantic import BaseModel, ConfigDict

from service.core.unit.channel import Channel
from service.core.unit.conversation import ConversationState
from service.kit.frame.retries import RetryPlan

_RETRIES = RetryPlan(first_s=0.1, longest_s=1.0, jitter_s=1.0, attempts=3)
_BUSY = frozenset({429, 502, 503, 504})
_EARLY_S = 60.0  # a token is renewed before it ends


class ServiceAway(Exception):
    """The service gave no answer in time; the message names a status or an error, and no words of a customer."""


class ConversationGone(Exception):
    """What the request names has ended or is unknown; for a conversation: start another one."""


class _Busy(Exception):
    """It may be tried again: a message that is sent twice under one id is answered once."""


class SaidBack(BaseModel):
    """The part of the service's answer that a channel needs; further fields are left out."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    state: ConversationState
    reply: str | None
    reason: str | None = None
    notice: str | None = None


@dataclass(slots=True, kw_only=True)
class ServiceClient:
    """The conversations of one task, and tokens for accounts.

    ``http`` has the service's address as its base; without ``client_id`` no token is sent.
    """

    http: httpx2.AsyncClient
    task: str
    timeout_s: float
    client_id: str | None = None
    client_secret: str | None = None
    clock: Callable[[], float] = time.monotonic
    _token: str | None = None
    _token_until: float = field(default=0.0)

    async def start(self, key: str, session: Mapping[str, str], *, channel: Channel) -> str:
        """Return the id of the conversation that ``key`` names; it is started on ``channel`` if there is none."""
        body = {"key": key, "channel": channel.value, "session": dict(session)}
        answer = await self._post(f"/v1/{self.task}/conversations", body)
        return str(answer.json()["conversation_id"])

    async def say(self, conversation_id: str, message_id: str, message: str) -> SaidBack:
        """Return what came of a message.

        Raises:
            ConversationGone: the conversation takes no more messages.
        """
        body = {"message": message, "message_id": message_id}
        answer = await self._post(f"/v1/{self.task}/conversations/{conversation_id}/messages", body)
        return SaidBack.model_validate(answer.json())

    async def account_token(self, account_number: str) -> str:
        """Return a token for the summaries of one account.

        Raises:
            ConversationGone: the account number is none.
        """
        answer = await self._post("/account-token", {"account_number": account_number})
        return str(answer.json()["token"])

    async def _post(self, path: str, body: Mapping[str, object]) -> httpx2.Response:
        try:
            return await _RETRIES.run_async(partial(self._once, path, body), on=_Busy, timeout_s=self.timeout_s)
        except _Busy as err:
            raise ServiceAway(str(err)) from err

    async def _once(self, path: str, body: Mapping[str, object]) -> httpx2.Response:
        try:
            answer = await self.http.post(path, json=body, headers=await self._headers())
        except httpx2.HTTPError as err:
            raise _Busy(type(err).__name__) from err
        if answer.status_code == 200:
            return answer
        if answer.status_code in (404, 422) or _has_ended(answer):
            raise ConversationGone(f"status {answer.status_code}")
        if answer.status_code == 401:
            self._token = None  # a key or the client's scopes were changed
        if answer.status_code in _BUSY or answer.status_code == 401:
            raise _Busy(f"status {answer.status_code}")
        raise ServiceAway(f"status {answer.status_code}")

    async def _headers(self) -> dict[str, str]:
        if self.client_id is None:
            return {}
        if self._token is None or self.clock() >= self._token_until:
            fields = {"grant_type": "client_credentials", "client_id": self.client_id}
            fields["client_secret"] = self.client_secret or ""
            answer = await self.http.post("/oauth/token", data=fields)
            if answer.status_code != 200:
                raise ServiceAway(f"no token: status {answer.status_code}")
            issued = answer.json()
            self._token = str(issued["access_token"])
            self._token_until = self.clock() + float(issued["expires_in"]) - _EARLY_S
        return {"authorization": f"Bearer {self._token}"}


def _has_ended(answer: httpx2.Response) -> bool:
    """Return whether a conversation refused a message because it takes none any more; a busy one still has its history."""
    if answer.status_code != 409:
        return False
    try:
        problem = answer.json()
    except ValueError:
        return False
    return isinstance(problem, dict) and problem.get("code") == "CONVERSATION_ENDED"
