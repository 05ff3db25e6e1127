"""The steps of a run: a question to a model, and the use of a tool. Most runs ask one question."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from service.core.unit.pair import PromptMessage


@dataclass(frozen=True, slots=True, kw_only=True)
class Use:
    """One call of a tool that a task or a model wants. ``arguments`` are JSON; ``call_id`` is the model's name for the call."""

    tool: str
    arguments: Mapping[str, Any]
    call_id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolTurn:
    """A model's turn that used tools, with what came of each use: JSON texts in the order of ``uses``."""

    text: str
    uses: tuple[Use, ...]
    contents: tuple[str, ...]


DialogueTurn = PromptMessage | ToolTurn


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """A model's answer to a question that offers tools: the output that ``read`` made of its text, or the uses it wants."""

    output: str
    uses: tuple[Use, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """The inputs of one model call, and the function that reads its answer.

    ``part`` names the part of the pair that is asked, with its own prompt and model; "" is the main prompt. ``shown`` is False
    for an answer that only the task reads, such as a judge's grade: it is neither streamed, guarded nor validated.
    ``values`` fill the part's templates; ``document`` holds the same facts for in-process models. ``read`` returns the output of
    an answer's text, or raises ``OutputInvalid``. ``answer_schema`` asks for structured output (``ModelCall.answer_schema``).
    ``turns`` follow the part's messages: what was said and done before in this run or conversation. With ``tools`` the model is
    offered the pair's tools, and the step receives a ``Said``, otherwise the output.
    """

    values: Mapping[str, str]
    document: object
    read: Callable[[str], str]
    answer_schema: Mapping[str, Any] | None = None
    turns: tuple[DialogueTurn, ...] = ()
    tools: bool = False
    part: str = ""
    shown: bool = True
