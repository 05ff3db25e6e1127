"""Circuit breakers and hedge budgets that all requests of a process share, and the gateway that reports outcomes to them."""

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

# With the models of our cards, English prose has 4 to 4.5 characters per token.
_CHARS_PER_TOKEN = 4


@dataclass(frozen=True, slots=True)
class Reliability:
    """The breakers and hedge budgets of a process; ``clock`` is monotonic, in seconds."""

    clock: Callable[[], float]
    breakers: Breakers = field(init=False)
    hedges: HedgeBudgets = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "breakers", Breakers(self.clock))
        object.__setattr__(self, "hedges", HedgeBudgets(self.clock))


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchedGateway:
    """Passes calls on while the model's circuit breaker allows it, and reports their outcome to the breaker.

    A cancelled or timed-out call counts against its model only if it ran for ``slow_s`` seconds or longer, since a request may
    have had little time left. ``on_unanswered`` is called for each call that was sent but returned no usage, because the
    provider charges for it all the same. With ``breakers`` None every call is allowed.
    """

    gateway: Gateway
    cards: ModelCards
    breakers: Breakers | None
    clock: Callable[[], float]
    slow_s: float
    on_unanswered: Callable[[ModelCall], None]

    async def complete(self, call: ModelCall) -> ModelReply:
        """See ``Gateway.complete``; raises ``UpstreamUnavailable`` at once while the breaker is open."""
        card = self.cards.get(call.model)
        if card.wire == "in_process":
            return await self.gateway.complete(call)
        permit: Permit | None = None
        if self.breakers is not None:
            permit = self.breakers.admit(call.model)
            if permit is None:
                raise UpstreamUnavailable(
                    f"{card.short_name} is not called for a while: its circuit breaker opened after repeated failures"
                )
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
            # A refusal or a rejected request is still an answer: the model is reachable.
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
    """Estimate the minimum usage of a call that returned none: the tokens of its prompt, from the prompt's length.

    Output that the model had already written is unknown and not counted.
    """
    chars = sum(len(message.content) for message in call.messages)
    return Usage(input_tokens=math.ceil(chars / _CHARS_PER_TOKEN))
