"""An index in Amazon OpenSearch Serverless: published from an index file, and searched by the same port.

The index's name holds its digest, so another content is another index and nothing is ever replaced. Written after AWS's and
OpenSearch's documentation and tested against a stand-in; nobody has run it against a collection in AWS yet.
"""

import json
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

from service.core.knowledge.embedding import Embedder
from service.core.knowledge.index_file import BuildProgress
from service.core.knowledge.opensearch_http import OpenSearchCollection
from service.core.knowledge.search import MOST_RESULTS, FoundPassage, FusedRank, fuse, readable_query
from service.core.knowledge.sqlite_search import DEPTH, IndexedPassage, SqliteSearch
from service.kit.frame.errors import ConfigurationError, KnowledgeError

_NAME = re.compile(r"[a-z][a-z0-9-]{0,62}")
_BATCH = 200
_MOST_WORDS = 200  # a query of more words passes OpenSearch's bound on clauses
_VISIBLE_S, _LOOK_EVERY_S = 180.0, 2.0  # a vector collection shows new documents after up to a minute
_SHOWN = ("number", "passage_id", "document_id", "version", "title", "headings", "text")


def publish(
    index: SqliteSearch,
    collection: OpenSearchCollection,
    name: str,
    *,
    progress: BuildProgress = lambda done, total: None,
    sleep: Callable[[float], None] = time.sleep,
) -> str:
    """Copy an index into a collection and return the name that it has there, when all of it can be found.

    An index that is there whole is left alone; one whose upload broke off is deleted first.

    Raises:
        ConfigurationError: ``name`` cannot begin an index's name.
        KnowledgeError: the collection does not answer, or does not take or show all passages.
    """
    path = f"/{_index_name(name, index.digest)}"
    if _count(collection, path) == index.passages:
        return path[1:]
    collection.call("DELETE", path)
    collection.call("PUT", path, _definition(index))
    done = 0
    for batch in _batches(index.all_passages()):
        # Vector collections give documents their ids themselves.
        lines: list[dict[str, Any]] = []
        for passage in batch:
            lines += ({"index": {}}, _row(passage))
        answer = collection.call_lines(f"{path}/_bulk", lines)
        if answer is None or answer.get("errors", True):
            raise KnowledgeError(f"OpenSearch at {collection.endpoint} did not take all passages; publish again")
        done += len(batch)
        progress(done, index.passages)
    for _ in range(int(_VISIBLE_S / _LOOK_EVERY_S)):
        if _count(collection, path) == index.passages:
            return path[1:]
        sleep(_LOOK_EVERY_S)
    raise KnowledgeError(
        f"OpenSearch at {collection.endpoint} shows fewer than {index.passages} passages after {_VISIBLE_S:.0f} s; publish again"
    )


def open_published(
    collection: OpenSearchCollection, name: str, embedder: Embedder, *, expected: str
) -> "OpenSearchSearch":
    """Open the index with the digest ``expected``.

    Raises:
        ConfigurationError: ``name`` cannot begin an index's name.
        KnowledgeError: the collection does not answer, has no such index or not all of it, or it was built with another model.
    """
    path = f"/{_index_name(name, expected)}"
    described = collection.call("GET", f"{path}/_mapping")
    try:
        about = {} if described is None else described[path[1:]]["mappings"]["_meta"]
        digest, model, passages = about.get("digest"), about.get("embedder"), about.get("passages")
    except (KeyError, TypeError, AttributeError):
        raise KnowledgeError(f"the index {path[1:]} in OpenSearch is not one of ours; publish it again") from None
    if digest != expected:
        raise KnowledgeError(
            f"OpenSearch at {collection.endpoint} has no index with the digest {expected[:12]}; publish it"
        )
    if model != embedder.digest:
        raise KnowledgeError(f"the index {path[1:]} in OpenSearch was built with another embedding model")
    if _count(collection, path) != passages:
        raise KnowledgeError(f"the index {path[1:]} in OpenSearch does not hold all its passages; publish it again")
    return OpenSearchSearch(collection, path, embedder, expected)


class OpenSearchSearch:
    """Implements ``Search``."""

    def __init__(self, collection: OpenSearchCollection, path: str, embedder: Embedder, digest: str) -> None:
        self._collection = collection
        self._path = path
        self._embedder = embedder
        self._digest = digest

    @property
    def digest(self) -> str:
        """See ``Search.digest``."""
        return self._digest

    def search(
        self, query: str, *, limit: int = 10, where: Mapping[str, str] | None = None
    ) -> tuple[FoundPassage, ...]:
        """See ``Search.search``."""
        if not 1 <= limit <= MOST_RESULTS:
            raise ValueError(f"limit is {limit}, and must be 1 to {MOST_RESULTS}")
        text = readable_query(query)
        if not any(char.isalnum() for char in text):
            return ()
        vector = [float(part) for part in self._embedder.embed([text])[0]]
        lines = _queries(text, vector, max(DEPTH, limit), where or {})
        answer = self._collection.call_lines(f"{self._path}/_msearch", lines)
        try:
            words, meaning = ([hit["_source"] for hit in one["hits"]["hits"]] for one in answer["responses"])
            sources = {row["number"]: row for row in (*words, *meaning)}
            fused = fuse([row["number"] for row in words], [row["number"] for row in meaning])
            return tuple(_found(one, sources[one.key]) for one in fused[:limit])
        except (KeyError, TypeError, ValueError) as err:
            raise KnowledgeError(
                f"OpenSearch at {self._collection.endpoint} answered no result ({type(err).__name__})"
            ) from err


def _index_name(name: str, digest: str) -> str:
    if not _NAME.fullmatch(name):
        raise ConfigurationError(f"{name!r} cannot begin an index's name; take lower-case letters, digits and hyphens")
    return f"{name}-{digest[:32]}"


def _definition(index: SqliteSearch) -> dict[str, Any]:
    kept = {"type": "keyword", "index": False, "doc_values": False}
    read = {"type": "text", "analyzer": "english"}
    vector = {"name": "hnsw", "engine": "faiss", "space_type": "innerproduct"}  # vectors have length 1
    return {
        "settings": {"index": {"knn": True}},
        "mappings": {
            "dynamic": "strict",
            "_meta": {"digest": index.digest, "embedder": index.embedder_digest, "passages": index.passages},
            "properties": {
                "number": {"type": "integer"},
                "passage_id": kept,
                "document_id": kept,
                "version": kept,
                "labels": {"type": "keyword"},
                "title": read,
                "headings": read,
                "text": read,
                "vector": {"type": "knn_vector", "dimension": index.dimensions, "method": vector},
            },
        },
    }


def _row(passage: IndexedPassage) -> dict[str, Any]:
    found = passage.found
    return {
        "number": passage.number,
        "passage_id": found.passage_id,
        "document_id": found.document_id,
        "version": found.version,
        "title": found.title,
        "headings": list(found.headings),
        "text": found.text,
        "labels": [_label(name, value) for name, value in passage.metadata.items()],
        "vector": [float(part) for part in passage.vector],
    }


def _label(name: str, value: str) -> str:
    return json.dumps([name, value], ensure_ascii=False)  # a name may hold any sign that could part them


def _queries(text: str, vector: Sequence[float], depth: int, where: Mapping[str, str]) -> list[dict[str, Any]]:
    filters = [{"term": {"labels": _label(name, value)}} for name, value in where.items()]
    words = {
        "multi_match": {
            "query": " ".join(text.split()[:_MOST_WORDS]),
            "fields": ["title", "headings", "text"],
            "type": "most_fields",
        }
    }
    near: dict[str, Any] = {"vector": vector, "k": depth}
    if filters:
        near["filter"] = {"bool": {"filter": filters}}
    shown = {"size": depth, "_source": list(_SHOWN)}
    return [
        {},
        shown | {"query": {"bool": {"must": [words], "filter": filters}}},
        {},
        shown | {"query": {"knn": {"vector": near}}},
    ]


def _found(fused: FusedRank, row: Mapping[str, Any]) -> FoundPassage:
    return FoundPassage(
        passage_id=row["passage_id"],
        document_id=row["document_id"],
        version=row["version"],
        title=row["title"],
        headings=tuple(row["headings"]),
        text=row["text"],
        score=fused.score,
        word_rank=fused.word_rank,
        meaning_rank=fused.meaning_rank,
    )


def _count(collection: OpenSearchCollection, path: str) -> int | None:
    """How many passages an index shows; None where there is no index."""
    answer = collection.call("GET", f"{path}/_count")
    return answer.get("count") if isinstance(answer, dict) else None


def _batches(passages: Iterator[IndexedPassage]) -> Iterator[list[IndexedPassage]]:
    while batch := list(islice(passages, _BATCH)):
        yield batch
