"""Documents and the folder that they come from: Markdown with front matter, JSON, or JSON lines."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints, ValidationError

from service.kit.frame.canonical import sha256_hex
from service.kit.frame.errors import KnowledgeError
from service.kit.frame.strict import NotStrict, lines_of, parse_json, parse_yaml, read_strict

MOST_DOCUMENTS = 100_000
MOST_CHARACTERS = 1_000_000  # of one document
_MOST_FILE_BYTES = 64_000_000
_SUFFIXES = (".json", ".jsonl", ".md", ".markdown")
_FRONT_MATTER = re.compile(r"---[ \t]*\n(.*?\n)??---[ \t]*(?:\n|\Z)", re.DOTALL)
_HEADING = re.compile(r"^#{1,6}[ \t]+(\S.*)$", re.MULTILINE)
_OWN_FIELDS = ("id", "version", "title")


def _as_text(value: object) -> object:
    # Front matter holds numbers and dates; a filter on the command line is always text.
    if isinstance(value, bool):
        return str(value).lower()
    return str(value) if isinstance(value, int | float) or hasattr(value, "isoformat") else value


# `#` separates a document's id from a passage's; the rest keeps ids on one line and visible.
_Id = Annotated[str, BeforeValidator(_as_text), StringConstraints(pattern=r"^[^\s#\x00-\x1f\x7f-\x9f]{1,200}$")]
_Short = Annotated[str, BeforeValidator(_as_text), StringConstraints(min_length=1, max_length=500)]


class Document(BaseModel):
    """One document; a changed ``text`` without a changed ``version`` still changes the digest of an index."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: _Id
    version: _Short
    title: _Short
    text: str = Field(pattern=r"\S", max_length=MOST_CHARACTERS)
    metadata: Mapping[_Short, _Short] = Field(default_factory=dict, max_length=50)


def read_documents(folder: Path) -> tuple[Document, ...]:
    """Return the documents of all Markdown and JSON files below ``folder``, sorted by id.

    Raises:
        KnowledgeError: the folder is missing, a file is not what it should be, or two documents have one id.
    """
    if not folder.is_dir():
        raise KnowledgeError(f"{folder} is no folder; name one that holds Markdown or JSON files")
    found: dict[str, tuple[Document, str]] = {}
    for path in sorted(path for path in folder.rglob("*") if path.suffix.lower() in _SUFFIXES and path.is_file()):
        for place, document in _documents_of(path, folder):
            if document.id in found:
                raise KnowledgeError(
                    f"{place}: the id {document.id!r} is that of {found[document.id][1]}, too; give it another one"
                )
            found[document.id] = document, place
            if len(found) > MOST_DOCUMENTS:
                raise KnowledgeError(f"{folder} holds more than {MOST_DOCUMENTS:,} documents; build several indexes")
    if not found:
        raise KnowledgeError(f"{folder} holds no document; it may hold {', '.join(_SUFFIXES)} files")
    return tuple(found[key][0] for key in sorted(found))


def _documents_of(path: Path, folder: Path) -> Iterator[tuple[str, Document]]:
    """Yield each document of a file with the place to name in an error."""
    try:
        text = read_strict(path, _MOST_FILE_BYTES).replace("\r\n", "\n")
        if path.suffix.lower() == ".jsonl":
            for number, line in enumerate(lines_of(text), 1):
                if line.strip():
                    place = f"{path}:{number}"
                    yield place, _document(parse_json(line), place)
            return
        if path.suffix.lower() == ".json":
            value = parse_json(text)
            for item in value if isinstance(value, list) else [value]:
                yield str(path), _document(item, str(path))
            return
        yield str(path), _markdown(text, path, folder)
    except NotStrict as err:
        raise KnowledgeError(f"{path}: {err}") from None
    except OSError as err:
        raise KnowledgeError(f"{path} cannot be read: {err.strerror or err}") from None


def _markdown(text: str, path: Path, folder: Path) -> Document:
    """A Markdown file: the front matter's ``id``, ``version`` and ``title`` are the document's, all other keys metadata."""
    matter = _FRONT_MATTER.match(text)
    head: Any = parse_yaml(matter[1])[1] if matter and matter[1] else {}
    if not isinstance(head, dict):
        raise NotStrict("its front matter is no list of names and values")
    body = (text[matter.end() :] if matter else text).strip()
    heading = _HEADING.search(body)
    name = path.relative_to(folder).with_suffix("").as_posix()
    own = {
        "id": "-".join(name.split()),
        "title": heading[1][:500].rstrip("# \t") or path.stem if heading else path.stem,
    }
    own |= {key: value for key, value in head.items() if key in _OWN_FIELDS}
    return _document(
        own | {"text": body, "metadata": {k: v for k, v in head.items() if k not in _OWN_FIELDS}}, str(path)
    )


def _document(value: object, place: str) -> Document:
    if not isinstance(value, dict):
        raise KnowledgeError(f"{place}: not a document; write an object with id, title and text")
    if "version" not in value and isinstance(value.get("text"), str):
        value = value | {"version": sha256_hex(value["text"])[:12]}  # another text, another version
    try:
        return Document.model_validate(value)
    except ValidationError as err:
        first = err.errors()[0]
        where = ".".join(map(str, first["loc"])) or "document"
        raise KnowledgeError(f"{place}: {where}: {first['msg'].lower()}") from None
