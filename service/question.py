"""A question: one model call of a task's run. Most tasks ask one; one whose inputs are too long for a model asks several."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What one call asks and how its answer is read.

    ``values`` fill the pair's templates; ``document`` is the same for models that are code. ``read`` returns what the answer's
    text holds, or raises ``OutputInvalid``. ``answer_schema`` asks for structured output (``ModelCall.answer_schema``).
    """

    values: Mapping[str, str]
    document: object
    read: Callable[[str], str]
    answer_schema: Mapping[str, Any] | None = None
