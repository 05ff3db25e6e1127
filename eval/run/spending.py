"""Keeps what a run's live calls cost below a limit: a call that could exceed it is not made."""

import json
from dataclasses import asdict, dataclass, field
from decimal import Decimal
from typing import Any

from eval.spine.errors import RunAborted
from service.core.llm.gateway import LiteLLMGateway
from service.core.llm.model_call import ModelCall, ModelReply
from service.core.llm.pricing import Usage, cost_of
from service.core.unit.cards import ModelCards
from service.kit.frame.errors import ModelError, QuotaExceeded, RequestRejected

# What a provider adds around messages: roles, separators, the instruction to follow a schema.
_AROUND_TOKENS = 500


@dataclass(slots=True, kw_only=True)
class Spending:
    """What was spent of ``limit_usd``, in USD, counting each call in flight and each call without an answer at its worst."""

    limit_usd: Decimal
    cards: ModelCards
    spent_usd: Decimal = Decimal(0)
    calls: int = 0
    _in_flight_usd: Decimal = field(default=Decimal(0))

    def begin(self, call: ModelCall) -> Decimal:
        """Reserve what ``call`` costs at worst, and return it.

        Raises:
            RunAborted: the limit could be exceeded, or the model has no price.
        """
        worst = _worst_cost(call, self.cards)
        if worst is None:
            raise RunAborted(
                f"{self.cards.get(call.model).short_name} has no price, so --budget-usd cannot bound its cost: add its price to "
                "prompts/models.yaml, or leave --budget-usd out"
            )
        if self.spent_usd + self._in_flight_usd + worst > self.limit_usd:
            raise RunAborted(
                f"the budget of ${self.limit_usd:f} covers no further call: ${self.spent_usd:.6f} went on {self.calls} calls. "
                "What was answered is kept, and no evidence was written; run again with a larger --budget-usd to go on"
            )
        self._in_flight_usd += worst
        return worst

    def end(self, reserved: Decimal, call: ModelCall, usage: Usage | None) -> None:
        """Count a call: what it is billed for ``usage``, or at its worst if that is not known."""
        cost = None if usage is None else cost_of(usage, self.cards.get(call.model))
        self._in_flight_usd -= reserved
        self.spent_usd += reserved if cost is None else cost.metered_usd
        self.calls += reserved > 0


class MeteredGateway(LiteLLMGateway):
    """A gateway whose calls count against a limit."""

    def __init__(self, cards: ModelCards, *, spending: Spending, **options: Any) -> None:
        """``options``: those of ``LiteLLMGateway``."""
        super().__init__(cards, **options)
        self._spending = spending

    async def complete(self, call: ModelCall) -> ModelReply:
        """See ``Gateway.complete``.

        Raises:
            RunAborted: the call could exceed the limit.
        """
        reserved = self._spending.begin(call)
        usage: Usage | None = None
        try:
            reply = await super().complete(call)
            usage = reply.usage
            return reply
        except ModelError as err:
            if isinstance(err.charged_reply, ModelReply):
                usage = err.charged_reply.usage  # withheld or not usable, and billed all the same
            elif isinstance(err, (QuotaExceeded, RequestRejected)):
                usage = Usage()  # no model read it, so nobody bills it
            raise
        finally:
            self._spending.end(reserved, call, usage)


def _worst_cost(call: ModelCall, cards: ModelCards) -> Decimal | None:
    # A tokenizer makes at most one token of a byte.
    read = sum(len(message.content.encode()) for message in call.messages) + _AROUND_TOKENS
    read += len(json.dumps(call.answer_schema)) if call.answer_schema is not None else 0
    # Earlier answers, uses of tools and their outcomes, and the tools themselves are sent along.
    read += sum(len(json.dumps(asdict(part), default=str)) for part in (*call.turns, *call.tools))
    written = call.sampling.max_output_tokens
    costs = [
        cost_of(usage, cards.get(call.model))
        for usage in (
            Usage(input_tokens=read, output_tokens=written),
            Usage(cache_write_tokens=read, output_tokens=written),
        )
    ]
    known = [cost.metered_usd for cost in costs if cost is not None]
    return max(known) if known else None
