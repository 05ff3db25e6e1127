"""A question: one model call of a task's run. Most runs ask one; inputs that are too long for a model need several."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """The inputs of one model call, and the function that reads its answer.

    ``values`` fill the pair's templates; ``document`` holds the same facts for in-process models. ``read`` returns the output of
    an answer's text, or raises ``OutputInvalid``. ``answer_schema`` asks for structured output (``ModelCall.answer_schema``).
    """

    values: Mapping[str, str]
    document: object
    read: Callable[[str], str]
    answer_schema: Mapping[str, Any] | None = None
