"""A task's tools in a serving process: checked against each pair before it is served, and opened for each run."""

import asyncio
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from service.core.knowledge.indexes import KnowledgeIndexes
from service.core.tools.allowed import AllowedTools
from service.core.tools.documents import DocumentIndexes, NoTools, WithDocuments, unopened
from service.core.tools.effect_table import EffectTable
from service.core.tools.effects import EffectLedger, EffectsInMemory
from service.core.tools.functions import ToolFunction
from service.core.tools.mcp.port import McpTools
from service.core.tools.port import Tools, ToolsDown
from service.core.tools.schemas import differing_tools
from service.core.unit.pair import Pair, ToolSpec
from service.core.unit.tool_arguments import DOCUMENT_ARGUMENTS
from service.kit.delivery.breaker import BreakerPolicy, CircuitBreaker
from service.kit.frame.errors import ConfigurationError, KnowledgeDown, RegistryError, ToolsDiffer
from service.kit.records.shared_state import SharedState
from service.kit.settings import Settings
from service.kit.telemetry.log import Event, log

# How long a listing of another process's tools counts: its schemas may change with any deployment there.
_LISTED_S = 30.0
_FAILED_S = 3.0  # and how long a failure to list them: whoever asks next would wait for another time limit
_POLICY = BreakerPolicy(least_calls=10)


@dataclass(slots=True, kw_only=True)
class TaskTools:
    """The tools of one task. ``open_tools`` makes a port to them; ``lasting`` means that their schemas cannot change.

    ``indexes`` are the documents that a pair's tools may search, beside those tools.
    """

    task: str
    open_tools: Callable[[], McpTools]
    effects: EffectLedger
    indexes: DocumentIndexes
    breaker: CircuitBreaker
    search_breaker: CircuitBreaker
    # A candidate's reading must not keep requests from the tools, so shadows have their own.
    shadow_breaker: CircuitBreaker
    shadow_search_breaker: CircuitBreaker
    lasting: bool = False
    _tools: McpTools | None = None
    _listed: tuple[ToolSpec, ...] = ()
    _listed_at: float | None = None
    _failure: tuple[float, ToolsDown] | None = None
    _told: dict[str, str] = field(default_factory=dict)  # by the digest of the refused pair
    _checking: threading.Lock = field(default_factory=threading.Lock)

    def check(self, pair: Pair) -> None:
        """Compare the tools that ``pair`` names with those that are there. Blocking, and not for the event loop.

        Raises:
            ToolsDiffer: a tool or an index of documents is missing, or a tool takes other arguments than the pair's digest
                promised.
            RegistryError: the tools cannot be listed, or the documents not reached, now.
            ConfigurationError: there are none, or they cannot be made.
        """
        if not pair.tools:
            return
        with self._checking:
            wrong = "; ".join(filter(None, (self._wrong_documents(pair), self._wrong_tools(pair))))
            if not wrong:
                self._told.pop(pair.digest, None)
                return
            message = (
                f"pair {pair.name!r} was released with other tools than there are: {wrong}; serve the tools that it names, "
                "or release a pair for these"
            )
            if message != self._told.get(pair.digest):
                self._told[pair.digest] = message
                log(Event.TOOLS_DIFFER, task=self.task, pair=pair.name, reason=wrong)
            raise ToolsDiffer(message)

    def _wrong_tools(self, pair: Pair) -> str:
        named = [tool for tool in pair.tools if not tool.documents]
        if not named:
            return ""
        try:
            return differing_tools(named, self._listing())
        except ToolsDown as err:
            raise RegistryError(f"pair {pair.name!r} names tools, and {err}: start or correct their server") from err

    def _wrong_documents(self, pair: Pair) -> str:
        named = [tool for tool in pair.tools if tool.documents]
        here = [ToolSpec(name=tool.name, description="", arguments=DOCUMENT_ARGUMENTS) for tool in named]
        wrong = [differing_tools(named, here)]
        for tool, err in unopened(named, self.indexes):
            if isinstance(err, KnowledgeDown):
                raise RegistryError(f"pair {pair.name!r} searches documents with {tool.name!r}, and {err}") from err
            wrong.append(f"{tool.name!r} searches documents that are not here: {err}")
        return "; ".join(filter(None, wrong))

    def for_run(self, pair: Pair, run_id: str) -> AllowedTools | None:
        """Return the tools of one run, by the event loop's own session; None for a pair without tools."""
        if not pair.tools:
            return None
        tools: Tools = NoTools()
        if not all(tool.documents for tool in pair.tools):
            tools = self._tools = self._tools or self.open_tools()
        return AllowedTools(
            specs={tool.name: tool for tool in pair.tools},
            tools=WithDocuments(tools, pair.tools, self.indexes),
            run_id=f"{self.task}/{run_id}",
            effects=self.effects,
            breaker=self.breaker,
            search_breaker=self.search_breaker,
        )

    def for_shadow(self, pair: Pair) -> AllowedTools | None:
        """Return the reading tools of a run of ``pair`` that nobody sees; None for a pair without tools."""
        run = self.for_run(pair, "shadow")
        if run is None:
            return None
        own = replace(run, breaker=self.shadow_breaker, search_breaker=self.shadow_search_breaker)
        return own.only_reading(pair.tools)

    async def aclose(self) -> None:
        """End the session."""
        if self._tools is not None:
            await self._tools.aclose()

    def _listing(self) -> tuple[ToolSpec, ...]:
        now = time.monotonic()
        if self._listed_at is not None and (self.lasting or now - self._listed_at < _LISTED_S):
            return self._listed
        if self._failure is not None and now - self._failure[0] < _FAILED_S:
            raise self._failure[1]
        try:
            self._listed = asyncio.run(self.open_tools().listed())
        except ToolsDown as err:
            self._failure = (time.monotonic(), err)
            raise
        self._listed_at, self._failure = time.monotonic(), None
        return self._listed


def build_task_tools(
    settings: Settings,
    functions: Mapping[str, Sequence[ToolFunction]],
    shared: SharedState | None,
    clock: Callable[[], float] = time.monotonic,
) -> dict[str, TaskTools]:
    """Return the tools of each task in ``functions``; contacts nothing.

    A server that `OMNI_TOOLS_SERVERS` names goes before the task's own functions. ``clock`` is monotonic, in seconds.
    """
    effects: EffectLedger = EffectsInMemory() if shared is None else EffectTable(shared)
    indexes = KnowledgeIndexes.of(settings)
    return {
        task: TaskTools(
            task=task,
            open_tools=_opener(settings, task, own),
            effects=effects,
            indexes=indexes,
            breaker=CircuitBreaker(f"tools of {task}", _POLICY, clock),
            search_breaker=CircuitBreaker(f"documents of {task}", _POLICY, clock),
            shadow_breaker=CircuitBreaker(f"tools of {task}, in shadows", _POLICY, clock),
            shadow_search_breaker=CircuitBreaker(f"documents of {task}, in shadows", _POLICY, clock),
            lasting=task not in settings.tools.servers,
        )
        for task, own in functions.items()
    }


def _opener(settings: Settings, task: str, own: Sequence[ToolFunction]) -> Callable[[], McpTools]:
    url, token = settings.tools.servers.get(task), settings.tools.tokens.get(task)

    def over_http() -> McpTools:
        from service.core.tools.mcp.http import over_http

        assert url is not None
        return McpTools(over_http(url, token))

    def in_process() -> McpTools:
        if not own:
            raise ConfigurationError(
                f"task {task!r} has no functions as tools, and OMNI_TOOLS_SERVERS names no server of its tools"
            )
        from service.core.tools.mcp.server import build_server, in_process

        return McpTools(in_process(build_server(task, own)))

    return in_process if url is None else over_http
