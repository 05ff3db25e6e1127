"""The port that rings a customer, and two dialers: a web hook of the telephone system, and a log line in `local`."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

import httpx2
from pydantic import BaseModel, ConfigDict

from service.desk.callback import RingOutcome
from service.kit.telemetry.log import Event, log


@dataclass(frozen=True, slots=True, kw_only=True)
class Ring:
    """One ring. ``phone`` is personal data: it goes to the telephone system only. ``key`` names the ring in repetitions."""

    key: str
    callback_id: str
    contact_id: str
    queue_id: str
    phone: str = field(repr=False)
    due_at: datetime


class Dialer(Protocol):
    """Connects a customer with a person."""

    async def ring(self, ring: Ring) -> RingOutcome:
        """Ring, at most once for each key, and return how it ended; ``failed`` if that is not known."""


class LoggedDialer:
    """Rings nobody: it writes a log line without the number, and says that the customer was reached. For `local` only."""

    async def ring(self, ring: Ring) -> RingOutcome:
        """See ``Dialer.ring``."""
        log(Event.CALLBACK_RUNG, callback=ring.key)
        return RingOutcome.REACHED


class _RingAnswer(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)

    outcome: RingOutcome


@dataclass(frozen=True, slots=True)
class WebhookDialer:
    """Posts each ring as JSON to the telephone system, which answers ``{"outcome": "reached"}`` once the ring has ended.

    The header ``Idempotency-Key`` is the ring's key: the receiver rings once for all requests with one key.
    """

    http: httpx2.AsyncClient
    url: str

    async def ring(self, ring: Ring) -> RingOutcome:
        """See ``Dialer.ring``."""
        body = {
            "callback_id": ring.callback_id,
            "contact_id": ring.contact_id,
            "queue_id": ring.queue_id,
            "phone": ring.phone,
            "due_at": ring.due_at.isoformat(),
        }
        try:
            answer = await self.http.post(self.url, json=body, headers={"Idempotency-Key": ring.key})
            answer.raise_for_status()
            return _RingAnswer.model_validate_json(answer.content).outcome
        except (httpx2.HTTPError, ValueError) as err:
            log(Event.CALLBACK_DIALER_FAILED, callback=ring.key, error=type(err).__name__)
            return RingOutcome.FAILED
