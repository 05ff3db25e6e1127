"""The tool that searches an index of documents: its arguments, its answer, and its place beside a run's other tools."""

import asyncio
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Protocol

from service.core.knowledge.search import FoundPassage, Search
from service.core.tools.port import MOST_ANSWER_CHARS, ToolError, Tools
from service.core.unit.pair import ToolSpec
from service.core.unit.tool_arguments import FEW_PASSAGES
from service.kit.frame.errors import KnowledgeError

_MOST_TEXT_CHARS = 1_500
_MOST_TITLE_CHARS = 200
# Their own: searches that wait for OpenSearch must not keep others from the loop's threads.
_THREADS = ThreadPoolExecutor(16, thread_name_prefix="documents")


class DocumentIndexes(Protocol):
    """Opens indexes by their digests."""

    def opened(self, digest: str) -> Search:
        """Return the index with this digest, the same one every time. Blocking, at first for seconds.

        Raises:
            KnowledgeError: there is none, or it cannot be opened; ``KnowledgeDown`` if nobody answers where it may be.
        """


class NoTools:
    """No tools at all."""

    async def listed(self) -> tuple[ToolSpec, ...]:
        """See ``Tools.listed``."""
        return ()

    async def call(self, name: str, arguments: Mapping[str, Any], *, key: str | None) -> str:
        """See ``Tools.call``."""
        raise ToolError(f"no tool {name!r}")


class WithDocuments:
    """Those of ``specs`` that search documents, beside ``others``; searches run in threads."""

    def __init__(self, others: Tools, specs: Iterable[ToolSpec], indexes: DocumentIndexes) -> None:
        self._others = others
        self._indexes = indexes
        self._specs = {spec.name: spec for spec in specs if spec.documents}

    def of(self, specs: Iterable[ToolSpec]) -> "WithDocuments":
        """Return the same tools with the indexes that another pair's ``specs`` name."""
        return WithDocuments(self._others, specs, self._indexes)

    async def listed(self) -> tuple[ToolSpec, ...]:
        """See ``Tools.listed``."""
        return (*self._specs.values(), *(spec for spec in await self._others.listed() if spec.name not in self._specs))

    async def call(self, name: str, arguments: Mapping[str, Any], *, key: str | None) -> str:
        """See ``Tools.call``. Raises ``KnowledgeError``: the index cannot be opened or searched."""
        spec = self._specs.get(name)
        if spec is None:
            return await self._others.call(name, arguments, key=key)
        # The run stops waiting when its time is up; the search ends by itself.
        loop = asyncio.get_running_loop()
        return _answer(await loop.run_in_executor(_THREADS, self._found, spec.documents, arguments))

    def _found(self, digest: str, arguments: Mapping[str, Any]) -> Sequence[FoundPassage]:
        index = self._indexes.opened(digest)
        return index.search(
            arguments["query"], limit=arguments.get("limit", FEW_PASSAGES), where=arguments.get("where")
        )


def unopened(specs: Iterable[ToolSpec], indexes: DocumentIndexes) -> Iterator[tuple[ToolSpec, KnowledgeError]]:
    """Open the indexes that ``specs`` name, and yield each tool whose index cannot be opened. Blocking."""
    for spec in specs:
        if spec.documents:
            try:
                indexes.opened(spec.documents)
            except KnowledgeError as err:
                yield spec, err


def documents_in(content: str) -> tuple[str, ...]:
    """Return the ids of the documents in a search's answer, the best first; none where it is an error."""
    answer = json.loads(content)
    return tuple(answer.get("documents", ())) if isinstance(answer, dict) else ()


def _answer(found: Sequence[FoundPassage]) -> str:
    """Return passages as the JSON that a model reads; the last ones are left out where they make it too long."""
    while len(text := _json(found)) > MOST_ANSWER_CHARS:
        found = found[:-1]
    return text


def _json(found: Sequence[FoundPassage]) -> str:
    passages = [
        {
            "document_id": one.document_id,
            "version": one.version[:_MOST_TITLE_CHARS],
            "title": one.title[:_MOST_TITLE_CHARS],
            "text": _bounded(one.text),
        }
        for one in found
    ]
    documents = list(dict.fromkeys(one.document_id for one in found))
    return json.dumps({"documents": documents, "passages": passages}, ensure_ascii=False)


def _bounded(text: str) -> str:
    return text if len(text) <= _MOST_TEXT_CHARS else f"{text[:_MOST_TEXT_CHARS]}…"
