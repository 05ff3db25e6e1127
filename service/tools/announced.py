"""Tools that tell when one of them is called, so that whoever waits for the answer can be shown that something happens."""

from collections.abc import Callable, Mapping
from typing import Any

from service.pair import ToolSpec
from service.tools.port import Tools


class AnnouncedTools:
    """Implements ``Tools`` over ``tools``; ``tell`` gets the name of each tool before it is called."""

    def __init__(self, tools: Tools, tell: Callable[[str], None]) -> None:
        self._tools = tools
        self._tell = tell

    async def listed(self) -> tuple[ToolSpec, ...]:
        """See ``Tools.listed``."""
        return await self._tools.listed()

    async def call(self, name: str, arguments: Mapping[str, Any], *, key: str | None) -> str:
        """See ``Tools.call``."""
        self._tell(name)
        return await self._tools.call(name, arguments, key=key)
