"""``knowledge``: builds an index of documents and searches it."""

import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from service.kit.frame.display.inert import one_line
from service.kit.frame.display.output import AsJson, print_json
from service.kit.frame.display.terminal import say
from service.kit.frame.errors import ConfigurationError

if TYPE_CHECKING:
    from service.core.knowledge.minilm import MiniLM
    from service.core.knowledge.opensearch_http import OpenSearchCollection
    from service.core.knowledge.search import FoundPassage, Search
    from service.kit.settings import Settings

_LINE_EVERY_S = 10.0  # without a terminal
_COLLECTION_S = 20.0
_SHOWN_LINES, _SHOWN_CHARACTERS = 12, 200

knowledge = typer.Typer(no_args_is_help=True, help="Index documents, and search them by words and by meaning.")

IndexFile = Annotated[
    Path | None, typer.Option("--index", help="File of the index; default: .omni/knowledge/index.sqlite.")
]

CollectionName = Annotated[str, typer.Option(help="How the index's name in a collection begins; its digest follows.")]


@knowledge.command("prepare")
def prepare() -> None:
    """Make the embedding model's file from its installed weights; `build` does so, too, where it is missing."""
    from service.kit.settings import Settings

    model = open_model(Settings())
    say(f"the embedding model is ready: {model.dimensions} dimensions, digest {model.digest[:12]}")


@knowledge.command("build")
def build(
    folder: Annotated[Path, typer.Argument(help="Folder of Markdown, JSON and JSON lines files.")],
    index: IndexFile = None,
    passage_characters: Annotated[
        int | None, typer.Option(min=100, max=10_000, help="Longest passage; default: what the measurement chose.")
    ] = None,
) -> None:
    """Build an index of a folder of documents; the one before stays until the new one is whole."""
    from service.kit.settings import Settings

    settings = Settings()
    model = open_model(settings)
    from service.core.knowledge.documents import read_documents
    from service.core.knowledge.index_file import build_index
    from service.core.knowledge.passages import Splitter

    began = time.monotonic()
    documents = read_documents(folder)
    splitter = Splitter() if passage_characters is None else Splitter(most_characters=passage_characters)
    progress = BuildLines()
    file = _file(index, settings)
    digest = build_index(file, documents, model, splitter=splitter, progress=progress)
    say(
        f"{len(documents)} documents, {progress.total} passages in {time.monotonic() - began:.1f} s: "
        f"{file}, {file.stat().st_size / 1e6:.1f} MB"
    )
    say("in a pair, under the name of the tool that searches it:")
    say(f"    documents: {digest}")


@knowledge.command("publish")
def publish_index(
    endpoint: Annotated[str, typer.Argument(help="Address of a vector collection of OpenSearch Serverless.")],
    index: IndexFile = None,
    name: CollectionName = "knowledge",
) -> None:
    """Copy an index into a collection of OpenSearch Serverless; `search --endpoint` reads it there."""
    from service.kit.settings import Settings

    settings = Settings()
    model = open_model(settings)
    from service.core.knowledge.opensearch import publish
    from service.core.knowledge.sqlite_search import open_index

    opened = open_index(_file(index, settings), model)
    published = publish(opened, _collection(endpoint, settings), name, progress=BuildLines("uploaded"))
    say(f"{opened.passages} passages are in {published}; digest {opened.digest}")


@knowledge.command("search")
def search(
    query: Annotated[str, typer.Argument(help="Words or a question.")],
    index: IndexFile = None,
    limit: Annotated[int, typer.Option(min=1, max=100, help="Most passages.")] = 5,
    where: Annotated[
        list[str] | None, typer.Option(metavar="NAME=VALUE", help="Only documents with this metadata; may be repeated.")
    ] = None,
    expect: Annotated[
        str | None, typer.Option(metavar="DIGEST", help="Refuse another index than the one with this digest.")
    ] = None,
    endpoint: Annotated[
        str | None, typer.Option(help="Search a collection of OpenSearch Serverless; --expect names the index in it.")
    ] = None,
    name: CollectionName = "knowledge",
    as_json: AsJson = False,
) -> None:
    """Search an index and print the passages."""
    from service.kit.settings import Settings

    settings = Settings()
    conditions = _conditions(where or [])
    opened: Search
    if endpoint is None:
        opened = _local(index, settings, expect)
    elif expect is None or index is not None:
        raise ConfigurationError("--endpoint needs --expect, which names the index there, and no --index")
    else:
        opened = _published(endpoint, name, settings, expect)
    found = opened.search(query, limit=limit, where=conditions)
    if as_json:
        print_json({"digest": opened.digest, "passages": [asdict(one) for one in found]})
        return
    for place, one in enumerate(found, 1):
        _print(place, one)
    if not found:
        say("no passage found")


def _local(index: Path | None, settings: "Settings", digest: str | None) -> "Search":
    model = open_model(settings)
    from service.core.knowledge.sqlite_search import open_index

    return open_index(_file(index, settings), model, expected=digest)


def _published(endpoint: str, name: str, settings: "Settings", digest: str) -> "Search":
    model = open_model(settings)
    from service.core.knowledge.opensearch import open_published

    return open_published(_collection(endpoint, settings), name, model, expected=digest)


def _collection(endpoint: str, settings: "Settings") -> "OpenSearchCollection":
    from service.core.knowledge.opensearch_http import OpenSearchCollection
    from service.kit.aws.clients import usual_key

    region = settings.aws.region
    # An upload of 200 passages takes longer than a search; nobody waits for a person's command as a customer would.
    return OpenSearchCollection(endpoint, region=region, key=usual_key(region), timeout_s=_COLLECTION_S)


def open_model(settings: "Settings") -> "MiniLM":
    """Return the embedding model, whose file is made first where it is missing."""
    from service.core.knowledge.installed import require_installed

    require_installed()
    from service.core.knowledge.minilm import MiniLM

    return MiniLM.open(settings.state_dir / "models")


class BuildLines:
    """Prints how far a build is: on a terminal one line that is overwritten, else a line every ten seconds."""

    def __init__(self, done: str = "embedded") -> None:
        self._done = done
        self.total = 0
        self._began = self._said = time.monotonic()

    def __call__(self, done: int, total: int) -> None:
        """Print how far the build is, if it is time to."""
        self.total = total
        now = time.monotonic()
        on_terminal = sys.stderr.isatty()
        if not on_terminal and now - self._said < _LINE_EVERY_S:
            return
        self._said = now
        left_s = (now - self._began) / done * (total - done)
        end = "\r" if on_terminal and done < total else "\n"
        say(f"{done} of {total} passages {self._done}, {left_s:.0f} s left   ", file=sys.stderr, end=end, flush=True)


def _file(index: Path | None, settings: "Settings") -> Path:
    from service.core.knowledge.indexes import default_index

    return index or default_index(settings)


def _conditions(where: list[str]) -> dict[str, str]:
    conditions: dict[str, str] = {}
    for condition in where:
        name, equals, value = condition.partition("=")
        if not (name and equals and value):
            raise ConfigurationError(f"{condition!r} is no condition; write it as --where product=cards")
        if conditions.setdefault(name, value) != value:
            raise ConfigurationError(f"{name!r} cannot have two values; give --where {name}=... once")
    return conditions


def _print(place: int, found: "FoundPassage") -> None:
    ranks = ((found.word_rank, "words"), (found.meaning_rank, "meaning"))
    named = ", ".join(f"{name} {rank}" for rank, name in ranks if rank is not None)
    above = [heading for heading in found.headings if heading != found.title]
    say(f"{place}. {one_line(' > '.join((found.title, *above)), 110)} ({named})")
    say(f"   {found.passage_id}, version {one_line(found.version, 40)}")
    lines = [line for line in found.text.split("\n") if line.strip()]
    for line in lines[:_SHOWN_LINES]:
        say(f"   | {one_line(line, _SHOWN_CHARACTERS)}")
    if len(lines) > _SHOWN_LINES:
        say(f"   | … {len(lines) - _SHOWN_LINES} more lines")
