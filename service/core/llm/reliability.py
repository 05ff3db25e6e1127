"""Breakers, throttles and budgets that all requests of a process share, and the gateway that reports outcomes to them."""

import asyncio
import math
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from service.core.llm.chat_format import texts_of
from service.core.llm.hedging import RETRY_SHARE, HedgeBudgets
from service.core.llm.model_call import Gateway, ModelCall, ModelReply
from service.core.llm.pricing import Usage
from service.core.unit.cards import ModelCards
from service.kit.delivery.breaker import Breakers, Permit
from service.kit.frame.errors import DeadlineExceeded, ModelError, QuotaExceeded, UpstreamUnavailable

# Calls sent for each call that is accepted: with 2, a model must refuse more than half before any call is held back.
_SENT_PER_ACCEPTED = 2.0
_WINDOW_S = 10
_LEAST_CALLS = 10  # below, no share means anything
_PROBE_S = 1.0  # one call in this time is sent in any case, so that a recovery is noticed


@dataclass(slots=True)
class ModelThrottle:
    """What one model accepted in the last seconds; ``clock`` is monotonic, in seconds.

    It sends about twice what a model that throttles accepts. A breaker would take a model that refuses a third of its calls for
    dead; without any limit it would be asked in vain for ever. This is the client-side throttling of Google's "Site Reliability
    Engineering" (2016), chapter 21.
    """

    clock: Callable[[], float]
    calls: int = 0
    accepted: int = 0
    _owed: float = 0.0  # the share of a call to hold back, added up: no randomness, and exact from the first call on
    _sent_at: float = float("-inf")
    _seconds: deque[list[int]] = field(default_factory=deque)  # [second, calls, accepted]

    def admit(self) -> bool:
        """Return whether the next call may be sent; a call that is held back counts as one that was not accepted.

        A call counts as accepted until `refused` says otherwise: a refusal comes within milliseconds, an answer after seconds.
        Counted when they end, the first second of refusals would stand beside no answer, and hold most calls back.
        """
        second = self._now()
        now = self.clock()
        if self.calls >= _LEAST_CALLS and now - self._sent_at < _PROBE_S:
            self._owed += max(0.0, (self.calls - _SENT_PER_ACCEPTED * self.accepted) / (self.calls + 1))
            if self._owed >= 1:
                self._owed -= 1
                self._count(second, accepted=False)
                return False
        self._sent_at = now
        self._count(second, accepted=True)
        return True

    def refused(self) -> None:
        """Take back that a call which was sent counts as accepted: the model throttled it."""
        self._now()
        second = next((each for each in reversed(self._seconds) if each[2]), None)
        if second is not None:  # else the call was sent before the window began
            second[2] -= 1
            self.accepted -= 1

    def _count(self, second: list[int], *, accepted: bool) -> None:
        second[1] += 1
        second[2] += accepted
        self.calls += 1
        self.accepted += accepted

    def _now(self) -> list[int]:
        second = int(self.clock())
        while self._seconds and self._seconds[0][0] <= second - _WINDOW_S:
            _, calls, accepted = self._seconds.popleft()
            self.calls -= calls
            self.accepted -= accepted
        if not self._seconds or self._seconds[-1][0] != second:
            self._seconds.append([second, 0, 0])
        return self._seconds[-1]


@dataclass(slots=True)
class Throttles:
    """One throttle per model; each is created at the model's first call."""

    clock: Callable[[], float]
    _by_model: dict[str, ModelThrottle] = field(default_factory=dict)

    def of(self, model: str) -> ModelThrottle:
        """Return the throttle of ``model``."""
        found = self._by_model.get(model)
        if found is None:
            found = self._by_model[model] = ModelThrottle(self.clock)
        return found


# With the models of our cards, English prose has 4 to 4.5 characters per token.
_CHARS_PER_TOKEN = 4


@dataclass(frozen=True, slots=True)
class Reliability:
    """The breakers, throttles, hedge and retry budgets of a process; ``clock`` is monotonic, in seconds."""

    clock: Callable[[], float]
    breakers: Breakers = field(init=False)
    hedges: HedgeBudgets = field(init=False)  # per pair
    retries: HedgeBudgets = field(init=False)  # per model
    throttles: Throttles = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "breakers", Breakers(self.clock))
        object.__setattr__(self, "hedges", HedgeBudgets(self.clock))
        object.__setattr__(self, "retries", HedgeBudgets(self.clock, RETRY_SHARE))
        object.__setattr__(self, "throttles", Throttles(self.clock))


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchedGateway:
    """Passes calls on while the model's breaker and throttle allow it, and reports their outcome to both.

    A cancelled or timed-out call counts against its model only if it ran for ``slow_s`` seconds or longer, since a request may
    have had little time left; a call that is still running after ``overdue_s`` counts at once. ``on_unanswered`` is called for
    each call that was sent but returned no usage, and ``on_unusable`` for each whose answer cannot be used, because the provider
    charges for both. With ``shared`` None every call is allowed.
    """

    gateway: Gateway
    cards: ModelCards
    shared: Reliability | None
    clock: Callable[[], float]
    slow_s: float
    overdue_s: float
    on_unanswered: Callable[[ModelCall], None]
    on_unusable: Callable[[ModelCall, ModelReply], None]

    async def complete(self, call: ModelCall) -> ModelReply:
        """See ``Gateway.complete``; raises ``UpstreamUnavailable`` at once while the breaker is open or a call is held back."""
        card = self.cards.get(call.model)
        if card.wire == "in_process" or self.shared is None:
            return await self._sent(call)
        permit = self.shared.breakers.admit(call.model)
        if permit is None:
            raise UpstreamUnavailable(
                f"{card.short_name} is not called for a while: its circuit breaker opened after repeated failures"
            )
        throttle = self.shared.throttles.of(call.model)
        if not throttle.admit():
            permit.give_back()
            raise UpstreamUnavailable(f"{card.short_name} throttles most calls: this one was not sent")
        overdue = asyncio.get_running_loop().call_later(self.overdue_s, permit.overdue)
        try:
            return await self._watched(call, permit, throttle)
        finally:
            overdue.cancel()
            permit.give_back()

    async def _sent(self, call: ModelCall) -> ModelReply:
        try:
            return await self.gateway.complete(call)
        except (asyncio.CancelledError, DeadlineExceeded):
            if self.cards.get(call.model).wire != "in_process":
                self.on_unanswered(call)
            raise
        except ModelError as err:
            if isinstance(err.charged_reply, ModelReply):
                self.on_unusable(call, err.charged_reply)
            raise

    async def _watched(self, call: ModelCall, permit: Permit, throttle: ModelThrottle) -> ModelReply:
        started = self.clock()
        try:
            reply = await self._sent(call)
        except (asyncio.CancelledError, DeadlineExceeded):
            if self.clock() - started >= self.slow_s:
                permit.failed(cut_off=True)
            raise
        except QuotaExceeded:
            throttle.refused()
            permit.throttled()
            raise
        except UpstreamUnavailable:
            permit.failed()
            raise
        except ModelError:
            # A refusal or a rejected request is still an answer: the model is reachable.
            permit.succeeded()
            raise
        permit.succeeded()
        return reply


def estimated_usage(call: ModelCall) -> Usage:
    """Estimate the minimum usage of a call that returned none: the tokens of its prompt, from the prompt's length.

    Output that the model had already written is unknown and not counted.
    """
    chars = sum(map(len, texts_of(call)))
    return Usage(input_tokens=math.ceil(chars / _CHARS_PER_TOKEN))
