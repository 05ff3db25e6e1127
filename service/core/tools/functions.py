"""Plain functions that a task offers as tools: typed arguments, a docstring for the model, and nothing about servers."""

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

KEY = "key"


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolFunction:
    """A function as a tool. Its name, typed arguments and docstring become the tool's name, schema and description.

    The function may be asynchronous. It returns what JSON can hold, and raises ``ToolError`` if it did nothing. With ``writes``
    it may take a keyword ``key``, the call's idempotency key, which is no part of the schema: calls with one key are one call.
    """

    call: Callable[..., Any]
    writes: bool = False

    @property
    def name(self) -> str:
        """The tool's name."""
        return self.call.__name__

    @property
    def takes_key(self) -> bool:
        """Whether the function wants the idempotency key."""
        return self.writes and KEY in inspect.signature(self.call).parameters
