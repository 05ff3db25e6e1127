"""The documents that pairs search in an evaluation: their indexes are opened before a model is asked."""

from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any

from eval.spine.errors import RunAborted
from service.core.run.task import TaskResult
from service.core.tools.allowed import AllowedTools
from service.core.tools.documents import DocumentIndexes, NoTools, WithDocuments, unopened
from service.core.unit.pair import Pair
from service.kit.frame.errors import ConfigurationError


def open_documents(pairs: Iterable[Pair], indexes: DocumentIndexes) -> None:
    """Open all indexes that ``pairs`` name."""
    for pair in pairs:
        for tool, err in unopened(pair.tools, indexes):
            raise ConfigurationError(
                f"pair {pair.name!r} searches documents with {tool.name!r} that are not here: {err}; build that index, or "
                "name the digest of the one that is here in the pair"
            ) from err


def check_labelled_for(pairs: Iterable[Pair], documents: str, task: str) -> None:
    """Check that ``pairs`` search the index whose documents the suite's cases name; "" for cases that fit any."""
    for pair in pairs:
        for tool in pair.tools:
            if documents and tool.documents and tool.documents != documents:
                raise ConfigurationError(
                    f"the cases of task {task!r} name documents of index {documents[:12]}, and pair {pair.name!r} searches "
                    f"{tool.documents[:12]} with {tool.name!r}: look the cases over and set the suite's documents, or "
                    "correct the pair"
                )


async def with_documents(
    pair: Pair,
    run_id: str,
    indexes: DocumentIndexes | None,
    answer: Callable[[AllowedTools | None], Awaitable[TaskResult]],
) -> TaskResult:
    """Return the result of ``answer``, which gets those of the pair's tools that search documents; None without such tools.

    Raises:
        RunAborted: the documents could not be searched, which is no fault of the pair.
    """
    specs = {tool.name: tool for tool in pair.tools if tool.documents}
    if indexes is None or not specs:
        return await answer(None)
    watched = _Watched(NoTools(), specs.values(), indexes)
    result = await answer(AllowedTools(specs=specs, tools=watched, run_id=run_id, logged=False))
    if watched.broke is not None:
        raise RunAborted(
            f"the documents cannot be searched ({watched.broke}); mend that and run the same command again"
        )
    return result


class _Watched(WithDocuments):
    """Keeps the first error of a search."""

    broke: Exception | None = None

    async def call(self, name: str, arguments: Mapping[str, Any], *, key: str | None) -> str:
        try:
            return await super().call(name, arguments, key=key)
        except Exception as err:
            self.broke = self.broke or err
            raise
