"""The world of a conversation case: records behind the tools, and the faults that a case plants in them."""

import copy
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from eval.dialogue.scenario import ToolFault
from service.core.tools.port import ToolError, Tools
from service.core.unit.pair import ToolSpec

_HUGE_CHARS = 5_000_000


class ToolWork(Protocol):
    """What a tool does: reads and changes ``records`` in place and returns its answer as JSON values.

    Raises:
        ToolError: it did nothing, for a reason that the model may read.
    """

    def __call__(self, records: dict[str, Any], arguments: Mapping[str, Any]) -> object:
        """Do the work and return the answer."""
        ...


class CaseWorld(Tools, Protocol):
    """The tools of one conversation, over records of its own."""

    @property
    def records(self) -> Mapping[str, Any]:
        """The records as they are now."""
        ...


@dataclass(slots=True)
class RecordsWorld:
    """Tools that are functions over a copy of a case's records."""

    start: Mapping[str, Any]
    specs: Sequence[ToolSpec]
    works: Mapping[str, ToolWork]
    records: dict[str, Any] = field(init=False)

    def __post_init__(self) -> None:
        self.records = copy.deepcopy(dict(self.start))

    async def listed(self) -> tuple[ToolSpec, ...]:
        """See ``Tools.listed``."""
        return tuple(self.specs)

    async def call(self, name: str, arguments: Mapping[str, Any], *, key: str | None) -> str:
        """See ``Tools.call``."""
        if name not in self.works:
            raise ToolError(f"there is no tool {name!r}")
        return json.dumps(self.works[name](self.records, arguments), ensure_ascii=False)


class PlantedCrash(Exception):
    """A tool broke because its case wants it to."""


@dataclass(slots=True)
class FaultyTools:
    """``inner`` with the faults of a case. ``broke`` holds the first error that nobody planted: the world is wrong."""

    inner: Tools
    faults: Sequence[ToolFault]
    broke: Exception | None = None
    _calls: Counter[str] = field(init=False, default_factory=Counter)

    async def listed(self) -> tuple[ToolSpec, ...]:
        """See ``Tools.listed``."""
        return await self.inner.listed()

    async def call(self, name: str, arguments: Mapping[str, Any], *, key: str | None) -> str:
        """See ``Tools.call``."""
        self._calls[name] += 1
        planted = next((fault for fault in self.faults if (fault.tool, fault.nth) == (name, self._calls[name])), None)
        if planted is None:
            return await self._called(name, arguments, key)
        match planted.kind:
            case "error":
                raise ToolError("the service is down for maintenance; nothing was done")
            case "hang":
                raise TimeoutError  # what the run sees once its time is up, without the wait
            case "crash":
                raise PlantedCrash
            case "done_but_lost":
                await self._called(name, arguments, key)
                raise PlantedCrash
            case "garbage":
                return "<html><body>502 Bad Gateway</body></html>"
            case "huge":
                return json.dumps("x" * _HUGE_CHARS)
            case "empty":
                return "{}"
            case "instruction":
                answer = json.loads(await self._called(name, arguments, key))
                fields = answer if isinstance(answer, dict) else {"answer": answer}
                return json.dumps(fields | {"note": planted.text}, ensure_ascii=False)

    async def _called(self, name: str, arguments: Mapping[str, Any], key: str | None) -> str:
        try:
            return await self.inner.call(name, arguments, key=key)
        except ToolError:
            raise
        except Exception as err:
            self.broke = self.broke or err
            raise
