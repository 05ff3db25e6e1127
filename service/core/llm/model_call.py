"""The request and reply of a model call, and the ``Gateway`` protocol between tasks and models."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from service.core.llm.pricing import Usage
from service.core.unit.pair import PromptMessage, Sampling, ToolSpec
from service.core.unit.question import DialogueTurn, Said, Use

StopReason = Literal["end_turn", "max_tokens", "stop_sequence", "tool_use", "other"]
# Where an answer was made, from what proves most of a provider's model to what proves nothing of it.
AnswerOrigin = Literal["provider", "endpoint", "code", "stand-in"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelCall:
    """One request to one model. ``document`` holds the facts of the prompt as an object, for in-process models.

    ``answer_schema`` is a JSON schema (of an object) that asks for structured output. A model may ignore it, so the caller must
    also handle prose. ``cache_prefix`` marks the system message for the provider's prompt cache. ``turns`` follow the messages;
    the model may use the ``tools`` instead of answering. ``part`` names the part of the pair that asks; no model is told of it.
    """

    model: str
    messages: tuple[PromptMessage, ...]
    sampling: Sampling
    timeout_s: float
    cache_prefix: bool = False
    document: object | None = None
    answer_schema: Mapping[str, Any] | None = None
    turns: tuple[DialogueTurn, ...] = ()
    tools: tuple[ToolSpec, ...] = ()
    part: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelReply:
    """A model's answer. ``answered_by`` names the model that really answered: on a laptop, the local stand-in.

    ``origin`` is ``provider`` for the provider's own service, ``endpoint`` for a server that somebody named, ``code`` for code of
    this package, and ``stand-in`` for a model that this project brings along. It is ``stand-in`` also for whoever does not say.
    ``uses`` are the tools that the model wants used before it answers. ``metered`` is False where the answer stated no usage:
    ``usage`` is then an estimate from the texts.
    """

    text: str
    usage: Usage
    stop_reason: StopReason
    latency_ms: float
    answered_by: str
    origin: AnswerOrigin = "stand-in"
    metered: bool = True
    uses: tuple[Use, ...] = ()


class Gateway(Protocol):
    """Calls models."""

    async def complete(self, call: ModelCall) -> ModelReply:
        """Answer ``call`` within its timeout, without retrying.

        Raises:
            ModelError: one of its subclasses, never a provider's own exception.
        """


InProcessModel = Callable[[object], str | Said]
InProcessModels = Mapping[str, InProcessModel]
