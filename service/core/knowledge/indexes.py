"""Opens the indexes that pairs name, each as what its digest says, where the settings say that indexes are."""

import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from service.core.knowledge.search import Search
from service.kit.frame.errors import KnowledgeDown, KnowledgeError
from service.kit.settings import Settings

if TYPE_CHECKING:
    from service.core.knowledge.embedding import Embedder

_FileState = tuple[int, int, int]  # inode, time of change, size


def default_index(settings: Settings) -> Path:
    """Return the file that is searched where no setting names an index."""
    return settings.state_dir / "knowledge" / "index.sqlite"


class KnowledgeIndexes:
    """The indexes of this process. What was opened once stays open, whatever replaces its file. For several threads."""

    def __init__(
        self,
        files: Sequence[Path],
        open_embedder: Callable[[], "Embedder"],
        open_elsewhere: Sequence[Callable[[str, "Embedder"], Search]] = (),
    ) -> None:
        """Contact nothing. ``open_elsewhere`` open the index of a digest in one collection each."""
        self._files = files
        self._open_embedder = open_embedder
        self._open_elsewhere = open_elsewhere
        self._embedder: Embedder | None = None
        self._opened: dict[str, Search] = {}
        self._unwanted: dict[Path, tuple[_FileState | None, str]] = {}  # what was found there instead
        self._opening = threading.Lock()

    @classmethod
    def of(cls, settings: Settings) -> "KnowledgeIndexes":
        """Return the indexes that `OMNI_KNOWLEDGE_INDEX` names, else the file that `omni knowledge build` writes."""

        def embedder() -> "Embedder":
            from service.core.knowledge.installed import require_installed

            require_installed()
            from service.core.knowledge.minilm import MiniLM

            return MiniLM.open(settings.state_dir / "models")

        named = [place.strip() for place in settings.tools.documents.split(",") if place.strip()]
        collections = [place for place in named if "://" in place]
        files = [Path(place) for place in named if place not in collections] if named else [default_index(settings)]
        return cls(files, embedder, [_collection(endpoint, settings) for endpoint in collections])

    def opened(self, digest: str) -> Search:
        """Return the index with this digest, the same one every time. Blocking, at first for seconds.

        Raises:
            KnowledgeError: no file and no collection has it, or the search is not installed; ``KnowledgeDown`` if a collection
                does not answer.
        """
        found = self._opened.get(digest)
        if found is None:
            with self._opening:
                found = self._opened.get(digest) or self._searched_for(digest)
                self._opened[digest] = found
        return found

    def _searched_for(self, digest: str) -> Search:
        self._embedder = self._embedder or self._open_embedder()
        instead: list[str] = []
        down: KnowledgeDown | None = None
        for file in self._files:
            found = self._in_file(file, digest, self._embedder)
            if not isinstance(found, str):
                return found
            instead.append(found)
        for open_there in self._open_elsewhere:
            try:
                return open_there(digest, self._embedder)
            except KnowledgeDown as err:
                down = err
            except KnowledgeError as err:
                instead.append(str(err))
        if down is not None:
            raise down
        raise KnowledgeError(f"no index has the digest {digest[:12]} ({'; '.join(instead)}); see OMNI_KNOWLEDGE_INDEX")

    def _in_file(self, file: Path, digest: str, embedder: "Embedder") -> Search | str:
        """Return the index if ``file`` is the one; else what is wrong, which is remembered until the file changes."""
        from service.core.knowledge.sqlite_search import open_index

        state = _state_of(file)
        known = self._unwanted.get(file)
        if known is not None and known[0] == state and not known[1].startswith(_digest_of(file, digest)):
            return known[1]
        try:
            index = open_index(file, embedder)
        except KnowledgeError as err:
            self._unwanted[file] = state, str(err)
            return str(err)
        if index.digest == digest:
            return index
        index.close()
        self._unwanted[file] = state, _digest_of(file, index.digest)
        return self._unwanted[file][1]


def _digest_of(file: Path, digest: str) -> str:
    return f"{file} has the digest {digest[:12]}"


def _state_of(file: Path) -> _FileState | None:
    try:
        found = file.stat()
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns, found.st_size


def _collection(endpoint: str, settings: Settings) -> Callable[[str, "Embedder"], Search]:
    def opened(digest: str, embedder: "Embedder") -> Search:
        from service.core.knowledge.opensearch import open_published
        from service.core.knowledge.opensearch_http import OpenSearchCollection
        from service.kit.aws.clients import usual_key

        region = settings.aws.region
        collection = OpenSearchCollection(endpoint, region=region, key=usual_key(region))
        return open_published(collection, settings.tools.documents_name, embedder, expected=digest)

    return opened
