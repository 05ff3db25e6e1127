"""The port to tools: in service an MCP server, in an evaluation the case's own world."""

from collections.abc import Mapping
from typing import Any, Protocol

from service.core.unit.pair import ToolSpec

# A model's context holds no more; longer answers are the tool's fault, and a part of an answer could mislead.
MOST_ANSWER_CHARS = 20_000


class ToolError(Exception):
    """A tool did nothing, for the reason that the message gives; the model reads it, so it must not hold secrets.

    A tool that may have done something raises another exception: its call is then never repeated.
    """


class ToolsDown(ToolError):
    """The tools' server could not be reached, so it did nothing."""


class ToolUndecided(Exception):
    """A tool answered with an error and may have done something all the same; the model reads the message."""


class Tools(Protocol):
    """Offers tools by name. Which of them a run may use is the pair's decision (``service.core.tools.allowed``)."""

    async def listed(self) -> tuple[ToolSpec, ...]:
        """Return the tools with the schemas of their arguments."""

    async def call(self, name: str, arguments: Mapping[str, Any], *, key: str | None) -> str:
        """Call a tool and return its answer as JSON text. ``key`` is the idempotency key of a call that writes.

        Raises:
            ToolError: the tool is unknown, or it failed and did nothing; ``ToolsDown`` if its server cannot be reached.
            ToolUndecided: a tool that writes failed, and may have done something.
        """
