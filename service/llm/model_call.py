"""What goes into a model call and what comes back: the port between tasks and whatever answers them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from service.llm.pricing import Usage
from service.pair import Message, Sampling

StopReason = Literal["end_turn", "max_tokens", "stop_sequence", "other"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelCall:
    """One request to one model. ``document`` is the structured form of the prompt's facts, for models that are code.

    ``answer_schema`` asks for structured output: a JSON schema (an object) that the answer's text then follows, if the model
    keeps to it. It is a request, not a promise: whoever asks must also read prose.
    """

    model: str
    messages: tuple[Message, ...]
    sampling: Sampling
    timeout_s: float
    cache_prefix: bool = False
    document: object | None = None
    answer_schema: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelReply:
    """A model's answer. ``answered_by`` names what really answered, which on a laptop is not what was asked for."""

    text: str
    usage: Usage
    stop_reason: StopReason
    latency_ms: float
    answered_by: str


class Gateway(Protocol):
    """The one door to models."""

    async def complete(self, call: ModelCall) -> ModelReply:
        """Answer ``call`` within its timeout, without retrying.

        Raises:
            ModelError: one of its kinds, never a provider's own exception.
        """
        ...


InProcessModel = Callable[[object], str]
InProcessModels = Mapping[str, InProcessModel]
