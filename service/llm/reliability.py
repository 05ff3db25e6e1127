"""What requests of one process share: breakers and hedge budgets, and the gateway that reports to them how calls ended."""

import asyncio
import math
from collections.abc import Callable
from dataclasses import dataclass, field

from service.cards import ModelCards
from service.errors import DeadlineExceeded, ModelError, QuotaExceeded, UpstreamUnavailable
from service.llm.breaker import Breakers, Permit
from service.llm.hedging import HedgeBudgets
from service.llm.model_call import Gateway, ModelCall, ModelReply
from service.llm.pricing import Usage

# English prose has four to four and a half characters a token with the models of our cards.
_CHARS_PER_TOKEN = 4


@dataclass(frozen=True, slots=True)
class Reliability:
    """Shared by all requests of a process; ``clock`` is monotonic, in seconds."""

    clock: Callable[[], float]
    breakers: Breakers = field(init=False)
    hedges: HedgeBudgets = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "breakers", Breakers(self.clock))
        object.__setattr__(self, "hedges", HedgeBudgets(self.clock))


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchedGateway:
    """Passes calls on while the model's breaker lets it, and tells how they ended.

    A call that was cancelled or ran out of time counts against its model only after ``slow_s`` seconds: a request with little
    time left says nothing about the model. ``on_unanswered`` hears of each call that left and brought no usage back, since
    the provider charges for it all the same. ``breakers`` None lets every call pass.
    """

    gateway: Gateway
    cards: ModelCards
    breakers: Breakers | None
    clock: Callable[[], float]
    slow_s: float
    on_unanswered: Callable[[ModelCall], None]

    async def complete(self, call: ModelCall) -> ModelReply:
        """See ``Gateway.complete``; an open breaker is an ``UpstreamUnavailable`` at once."""
        card = self.cards.get(call.model)
        if card.wire == "in_process":
            return await self.gateway.complete(call)
        permit: Permit | None = None
        if self.breakers is not None:
            permit = self.breakers.admit(call.model)
            if permit is None:
                raise UpstreamUnavailable(f"{card.short_name} is left alone for a while after repeated failures")
        started = self.clock()
        try:
            reply = await self.gateway.complete(call)
        except (asyncio.CancelledError, DeadlineExceeded):
            self.on_unanswered(call)
            if permit is not None and self.clock() - started >= self.slow_s:
                permit.failed()
            raise
        except ModelError as err:
            if permit is None:
                raise
            # An answer that may not be shown, or a request that is wrong, is still an answer.
            if isinstance(err, (QuotaExceeded, UpstreamUnavailable)):
                permit.failed()
            else:
                permit.succeeded()
            raise
        else:
            if permit is not None:
                permit.succeeded()
            return reply
        finally:
            if permit is not None:
                permit.give_back()


def estimated_usage(call: ModelCall) -> Usage:
    """Return what a call without usage was charged at least: its prompt, estimated from its length.

    What the model had written by then is unknown and left out.
    """
    chars = sum(len(message.content) for message in call.messages)
    return Usage(input_tokens=math.ceil(chars / _CHARS_PER_TOKEN))
