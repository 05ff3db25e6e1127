"""Searches the SQLite file of an index, which is opened only if it is the one that was asked for."""

import json
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import apsw
import numpy as np

from service.core.knowledge.documents import Document
from service.core.knowledge.embedding import Embedder, Vectors
from service.core.knowledge.index_digest import index_digest
from service.core.knowledge.index_file import FORMAT, TOKENIZER, embedded_text, load_vectors
from service.core.knowledge.passages import Splitter, split
from service.core.knowledge.search import MOST_RESULTS, FoundPassage, FusedRank, fuse, readable_query
from service.kit.frame.errors import KnowledgeError

# Chosen on the dev split of `omni knowledge measure`.
DEPTH = 50  # passages of each ranking that are joined
_WEIGHTS = "1.0, 1.0, 1.0"  # of title, headings and text in BM25
COMMON_SHARE = 0.3  # a word in a larger share of all passages tells nothing apart, and ranking its passages takes time
_MOST_WORDS = 64
_SPOT_CHECKS = 4
_SAME_TEXT = 0.99  # cosine of one text's vectors made on two processors


def open_index(file: Path, embedder: Embedder, *, expected: str | None = None) -> "SqliteSearch":
    """Open an index after checking that it holds what its digest names. Whoever serves passes ``expected``.

    Documents, settings, model, and how the documents are split are compared in full, vectors by embedding some passages again.

    Raises:
        KnowledgeError: the index is missing or damaged, was made with another model, or has another digest than ``expected``.
    """
    if not file.is_file():
        raise KnowledgeError(f"there is no index {file}; build it: omni knowledge build FOLDER --index {file}")
    try:
        connection = apsw.Connection(
            f"file:{quote(str(file.absolute()))}?immutable=1", flags=apsw.SQLITE_OPEN_READONLY | apsw.SQLITE_OPEN_URI
        )
    except apsw.Error as err:
        raise KnowledgeError(f"the index {file} cannot be opened: {_first_line(err)}") from None
    try:
        digest = _checked(connection, file, embedder)
        if expected is not None and digest != expected:
            raise KnowledgeError(
                f"the index {file} has the digest {digest[:12]}, and {expected[:12]} was asked for; "
                "put that index back, or evaluate and release with this one"
            )
        return SqliteSearch(connection, embedder, digest)
    except (apsw.Error, ValueError, KeyError, TypeError) as err:
        connection.close()
        raise KnowledgeError(f"the index {file} is damaged ({_first_line(err)}); build it again") from None
    except BaseException:
        connection.close()
        raise


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexedPassage:
    """A passage as an index holds it: what is shown of it, what it is filtered by, and its vector of length 1."""

    number: int
    found: FoundPassage
    metadata: Mapping[str, str]
    vector: Vectors


class SqliteSearch:
    """Implements ``Search``. One search at a time reads the file; queries are embedded side by side."""

    def __init__(self, connection: apsw.Connection, embedder: Embedder, digest: str) -> None:
        self._connection = connection
        self._embedder = embedder
        self._digest = digest
        self._lock = threading.Lock()
        self._tokenize = connection.fts5_tokenizer(TOKENIZER[0], list(TOKENIZER[1:]))
        self._passages = _number(connection, "select count(*) from passages")
        self._common = frozenset(
            term
            for (term,) in connection.execute(
                "select term from words_known where doc > ?", (COMMON_SHARE * self._passages,)
            )
        )

    @property
    def digest(self) -> str:
        """See ``Search.digest``."""
        return self._digest

    @property
    def embedder_digest(self) -> str:
        """``Embedder.digest`` of the model that the index was built with."""
        return self._embedder.digest

    @property
    def dimensions(self) -> int:
        """How many numbers a vector has."""
        return self._embedder.dimensions

    @property
    def passages(self) -> int:
        """How many passages the index holds."""
        return self._passages

    def search(
        self, query: str, *, limit: int = 10, where: Mapping[str, str] | None = None
    ) -> tuple[FoundPassage, ...]:
        """See ``Search.search``."""
        if not 1 <= limit <= MOST_RESULTS:
            raise ValueError(f"limit is {limit}, and must be 1 to {MOST_RESULTS}")
        depth = max(DEPTH, limit)
        fused = fuse(self.by_words(query, depth=depth, where=where), self.by_meaning(query, depth=depth, where=where))
        return tuple(self._found(one) for one in fused[:limit])

    def by_words(self, query: str, *, depth: int, where: Mapping[str, str] | None = None) -> list[int]:
        """Return the numbers of the ``depth`` best passages by BM25, the best first."""
        words = self._words_of(readable_query(query))
        if not words:
            return []
        # The plus keeps SQLite from asking FTS5 once for each passage of the condition: 170 ms instead of 2.
        condition, values = _condition("+rowid", where)
        return self._numbers(
            f"select rowid from words where words match ?{condition} order by bm25(words, {_WEIGHTS}), rowid limit ?",
            (" OR ".join(f'"{word}"' for word in words), *values, depth),
        )

    def by_meaning(self, query: str, *, depth: int, where: Mapping[str, str] | None = None) -> list[int]:
        """Return the numbers of the ``depth`` passages whose vectors are nearest, the nearest first."""
        text = readable_query(query)
        if not any(char.isalnum() for char in text):
            return []
        vector = self._embedder.embed([text])[0].tobytes()
        condition, values = _condition("passage", where)
        return self._numbers(
            f"select passage from vectors where vector match ? and k = ?{condition} order by distance",
            (vector, depth, *values),
        )

    def all_passages(self) -> Iterator[IndexedPassage]:
        """Yield everything that the index holds, by number, to carry it elsewhere."""
        for number in range(1, self._passages + 1):
            found = self._found(FusedRank(number, 0.0, None, None))
            with self._lock:
                metadata, vector = self._connection.execute(
                    "select d.metadata, v.vector from passages p join documents d on d.number = p.document "
                    "join vectors v on v.passage = p.number where p.number = ?",
                    (number,),
                ).get
            values = np.frombuffer(vector, np.float32)
            yield IndexedPassage(number=number, found=found, metadata=json.loads(metadata), vector=values)

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._connection.close()

    def document_of(self, number: int) -> str:
        """Return the id of the document that passage ``number`` is part of."""
        with self._lock:
            found: str = self._connection.execute(
                "select d.id from passages p join documents d on d.number = p.document where p.number = ?", (number,)
            ).get
        return found

    def _words_of(self, query: str) -> list[str]:
        """The query's words as it writes them, without those that stand in a large part of all passages."""
        encoded = query.encode()
        written: dict[str, str] = {}
        tokens: Iterable[Any] = self._tokenize(encoded, apsw.FTS5_TOKENIZE_QUERY, None)
        for start, end, *terms in tokens:
            written.setdefault(terms[0], encoded[start:end].decode())
        telling = {term: word for term, word in written.items() if term not in self._common}
        return list((telling or written).values())[:_MOST_WORDS]

    def _numbers(self, sql: str, values: Sequence[Any]) -> list[int]:
        try:
            with self._lock:
                return [number for (number,) in self._connection.execute(sql, values)]
        except apsw.Error as err:
            raise KnowledgeError(f"the index cannot be searched ({_first_line(err)}); build it again") from err

    def _found(self, fused: FusedRank) -> FoundPassage:
        with self._lock:
            row = self._connection.execute(
                'select p.id, d.id, d.version, d.title, p.headings, substr(d.text, p.start + 1, p."end" - p.start) '
                "from passages p join documents d on d.number = p.document where p.number = ?",
                (fused.key,),
            ).get
        passage_id, document_id, version, title, headings, text = row
        return FoundPassage(
            passage_id=passage_id,
            document_id=document_id,
            version=version,
            title=title,
            headings=tuple(json.loads(headings)),
            text=text,
            score=fused.score,
            word_rank=fused.word_rank,
            meaning_rank=fused.meaning_rank,
        )


def _condition(column: str, where: Mapping[str, str] | None) -> tuple[str, list[str]]:
    """SQL for "of documents with these metadata", and its values. sqlite-vec takes one such condition only."""
    if not where:
        return "", []
    owned = " and ".join(["document in (select document from labels where name = ? and value = ?)"] * len(where))
    values = [text for pair in where.items() for text in pair]
    return f" and {column} in (select number from passages where {owned})", values


def _checked(connection: apsw.Connection, file: Path, embedder: Embedder) -> str:
    """Return the digest of what the file holds, after comparing every passage, and some vectors, with its documents."""
    load_vectors(connection)
    about = {str(name): str(value) for name, value in connection.execute("select name, value from about")}
    if about.get("format") != FORMAT:
        raise KnowledgeError(f"the index {file} was written by another version; build it again")
    if about["embedder"] != embedder.digest:
        raise KnowledgeError(f"the index {file} was built with another embedding model; build it again")
    splitter = Splitter.model_validate_json(about["splitter"])
    documents = _documents(connection)
    made = [(owner, passage) for owner, document in enumerate(documents, 1) for passage in split(document, splitter)]
    stored = connection.execute('select number, id, document, start, "end", headings from passages order by number')
    if stored.fetchall() != [
        (number, passage.id, owner, passage.start, passage.end, json.dumps(passage.headings, ensure_ascii=False))
        for number, (owner, passage) in enumerate(made, 1)
    ]:
        raise KnowledgeError(
            f"the index {file} is damaged: its passages are not those of its documents; build it again"
        )
    if {_number(connection, f"select count(*) from {table}") for table in ("words", "vectors")} != {len(made)}:
        raise KnowledgeError(f"the index {file} is damaged: it lacks words or vectors; build it again")
    for number in range(1, len(made) + 1, max(len(made) // _SPOT_CHECKS, 1)):
        owner, passage = made[number - 1]
        vector = embedder.embed([embedded_text(documents[owner - 1], passage)])[0].tobytes()
        distance = connection.execute(
            "select vec_distance_cosine(vector, ?) from vectors where passage = ?", (vector, number)
        ).get
        if not distance <= 1 - _SAME_TEXT:
            raise KnowledgeError(f"the index {file} is damaged: passage {number} has another vector; build it again")
    return index_digest(documents, splitter, embedder.digest)


def _documents(connection: apsw.Connection) -> list[Document]:
    rows = connection.execute("select id, version, title, text, metadata from documents order by number")
    return [
        Document(id=id_, version=version, title=title, text=text, metadata=json.loads(metadata))
        for id_, version, title, text, metadata in rows
    ]


def _number(connection: apsw.Connection, sql: str) -> int:
    return int(connection.execute(sql).get)


def _first_line(err: Exception) -> str:
    return str(err).split("\n")[0][:200]
