"""The SQLite file of an index: its tables, and how it is written. FTS5 ranks by words, sqlite-vec by meaning."""

import json
from collections.abc import Callable, Iterator, Sequence
from itertools import count, islice
from pathlib import Path

import apsw
import sqlite_vec

from service.core.knowledge.documents import Document
from service.core.knowledge.embedding import Embedder
from service.core.knowledge.index_digest import index_digest
from service.core.knowledge.passages import DocumentPassage, Splitter, split
from service.kit.frame.errors import KnowledgeError
from service.kit.frame.files import write_whole

FORMAT = "1"
MOST_PASSAGES = 200_000  # about 1 GB of memory while building, and some 80 ms a search
# Porter's stemmer knows English; other languages are found by their words as written, without accents.
TOKENIZER = ("porter", "unicode61", "remove_diacritics", "2")
_BATCH = 64
_TABLES = f"""
create table about (name text primary key, value text not null) without rowid;
create table documents (
    number integer primary key, id text not null unique, version text not null, title text not null, text text not null,
    metadata text not null
);
create table labels (
    name text not null, value text not null, document integer not null, primary key (name, value, document)
) without rowid;
create table passages (
    number integer primary key, id text not null unique, document integer not null, start integer not null,
    "end" integer not null, headings text not null
);
create index passages_of on passages (document);
create virtual table words using fts5 (
    title, headings, text, content = '', tokenize = '{" ".join(TOKENIZER)}'
);
create virtual table words_known using fts5vocab (words, row);
create virtual table vectors using vec0 (
    passage integer primary key, vector float[{{dimensions}}] distance_metric = cosine
);
"""

BuildProgress = Callable[[int, int], None]


def load_vectors(connection: apsw.Connection) -> None:
    """Give ``connection`` sqlite-vec's tables and functions."""
    connection.enable_load_extension(True)
    connection.load_extension(sqlite_vec.loadable_path())
    connection.enable_load_extension(False)


def embedded_text(document: Document, passage: DocumentPassage) -> str:
    """Return what is embedded for a passage: where it stands, and its text."""
    return "\n".join((" > ".join((document.title, *passage.headings)), passage.text))


def build_index(
    file: Path,
    documents: Sequence[Document],
    embedder: Embedder,
    *,
    splitter: Splitter | None = None,
    progress: BuildProgress = lambda done, total: None,
) -> str:
    """Write an index of ``documents`` and return its digest.

    The file appears as a whole, or the one before stays: an interrupted build leaves nothing.

    ``documents`` have different ids. ``progress`` is called with the number of embedded passages and of all.

    Raises:
        KnowledgeError: there are more passages than an index may hold, or the file cannot be written.
    """
    splitter = splitter or Splitter()
    ordered = sorted(documents, key=lambda document: document.id)
    digest = index_digest(ordered, splitter, embedder.digest)
    connection = apsw.Connection(":memory:")
    try:
        load_vectors(connection)
        with connection:
            connection.execute(_TABLES.format(dimensions=embedder.dimensions))
            about = {
                "format": FORMAT,
                "digest": digest,
                "splitter": splitter.model_dump_json(),
                "embedder": embedder.digest,
            }
            connection.executemany("insert into about values (?, ?)", about.items())
            total = _write_passages(connection, ordered, splitter)
            _write_vectors(connection, ordered, splitter, embedder, lambda done: progress(done, total))
            connection.execute("insert into words (words) values ('optimize')")
        content = connection.serialize("main")
    finally:
        connection.close()
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        write_whole(file, content)
    except OSError as err:
        raise KnowledgeError(f"the index {file} cannot be written: {err.strerror or err}") from None
    return digest


def _write_passages(connection: apsw.Connection, documents: Sequence[Document], splitter: Splitter) -> int:
    """Write everything but the vectors; return the number of passages, which are numbered from 1."""
    numbers = count(1)
    for owner, document in enumerate(documents, 1):
        metadata = json.dumps(dict(sorted(document.metadata.items())), ensure_ascii=False)
        connection.execute(
            "insert into documents values (?, ?, ?, ?, ?, ?)",
            (owner, document.id, document.version, document.title, document.text, metadata),
        )
        connection.executemany(
            "insert into labels values (?, ?, ?)", ((name, value, owner) for name, value in document.metadata.items())
        )
        for passage, number in zip(split(document, splitter), numbers, strict=False):
            if number > MOST_PASSAGES:
                raise KnowledgeError(f"more than {MOST_PASSAGES:,} passages: build several indexes, or longer passages")
            headings = json.dumps(passage.headings, ensure_ascii=False)
            connection.execute(
                "insert into passages values (?, ?, ?, ?, ?, ?)",
                (number, passage.id, owner, passage.start, passage.end, headings),
            )
            connection.execute(
                "insert into words (rowid, title, headings, text) values (?, ?, ?, ?)",
                (number, document.title, " ".join(passage.headings), passage.text),
            )
    return next(numbers) - 1


def _write_vectors(
    connection: apsw.Connection,
    documents: Sequence[Document],
    splitter: Splitter,
    embedder: Embedder,
    progress: Callable[[int], None],
) -> None:
    texts = (embedded_text(document, passage) for document in documents for passage in split(document, splitter))
    done = 0
    for batch in _batches(texts):
        vectors = embedder.embed(batch)
        connection.executemany(
            "insert into vectors values (?, ?)",
            ((number, vector.tobytes()) for number, vector in enumerate(vectors, done + 1)),
        )
        done += len(batch)
        progress(done)


def _batches(texts: Iterator[str]) -> Iterator[list[str]]:
    while batch := list(islice(texts, _BATCH)):
        yield batch
