"""``omni bench knowledge``: time and memory of a search over 10,000 passages, and of building and opening their index.

The passages are sentences of the summary cases, put together at random: real words in real sentences, so that BM25 has common and
rare words to rank and the embedder texts of usual length. The index is kept and built again only when something in it changes.
"""

import random
import re
import resource
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from eval.spine.cases import load_cases
from figures.arrays import Floats
from service.core.knowledge.documents import Document
from service.core.knowledge.embedding import Embedder
from service.core.knowledge.index_digest import index_digest
from service.core.knowledge.index_file import BuildProgress, build_index
from service.core.knowledge.passages import Splitter
from service.core.knowledge.sqlite_search import SqliteSearch, open_index
from service.core.tasks.summarize import SummarizeInputs
from service.kit.frame.display.terminal import say
from service.kit.frame.errors import KnowledgeError
from service.kit.settings import Settings

PASSAGES, SEARCHES, WARM_UP = 10_000, 400, 20
P95_MS = 25.0
_SEED = 20261122
_SENTENCES = re.compile(r"[^.!?\n]{25,180}[.!?]")
_PRODUCTS = ("billing", "network", "metering", "contracts")


def main(settings: Settings, embedder: Embedder, progress: BuildProgress, passages: int = PASSAGES) -> int:
    """Print the figures; 1 if the p95 of a search passes ``P95_MS``, else 0."""
    draws = random.Random(_SEED)
    sentences = _case_sentences(settings)
    documents = synthetic_documents(sentences, passages, draws)
    before_mb = _peak_mb()
    file = settings.state_dir / "knowledge" / "bench.sqlite"
    index = _opened(file, documents, embedder, progress)
    say(f"{index.passages} passages, {file.stat().st_size / 1e6:.1f} MB on disk")
    queries = [_query(draws.choice(sentences), draws) for _ in range(SEARCHES + WARM_UP)]
    whole = _times(lambda query: index.search(query), queries)
    _say_times("search, 10 results", whole)
    _say_times("  by words", _times(lambda query: index.by_words(query, depth=50), queries))
    _say_times("  by meaning", _times(lambda query: index.by_meaning(query, depth=50), queries))
    _say_times("    of it the embedding", _times(lambda query: embedder.embed([query]), queries))
    filtered = {"product": _PRODUCTS[0]}
    _say_times("search with a filter", _times(lambda query: index.search(query, where=filtered), queries))
    began = time.perf_counter()
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(index.search, queries))
    say(f"{'eight threads at once':<26}{len(queries) / (time.perf_counter() - began):.0f} searches a second")
    say(f"peak memory {_peak_mb():.0f} MB, {_peak_mb() - before_mb:.0f} MB of it since before the index")
    p95 = float(np.quantile(whole[:, 0], 0.95))
    met = p95 < P95_MS
    say(f"p95 {p95:.1f} ms, bound {P95_MS:g} ms: {'met' if met else 'missed'}")
    return 0 if met else 1


def synthetic_documents(sentences: Sequence[str], count: int, draws: random.Random) -> tuple[Document, ...]:
    """Return ``count`` documents of one passage each, of four to six sentences."""
    return tuple(
        Document(
            id=f"d{number}",
            version="1",
            title=" ".join(draws.choice(sentences).split()[:5]),
            text=" ".join(draws.choices(sentences, k=draws.randint(4, 6)))[: Splitter().most_characters],
            metadata={"product": draws.choice(_PRODUCTS)},
        )
        for number in range(count)
    )


def _case_sentences(settings: Settings) -> list[str]:
    cases = load_cases(settings.datasets_dir / "summarize" / "gate.jsonl", input_model=SummarizeInputs).cases
    texts = (item.text for case in cases for item in SummarizeInputs.model_validate(case.inputs).interactions)
    return sorted({" ".join(found.split()) for text in texts for found in _SENTENCES.findall(text)})


def _opened(file: Path, documents: Sequence[Document], embedder: Embedder, progress: BuildProgress) -> SqliteSearch:
    digest = index_digest(documents, Splitter(), embedder.digest)
    if not (file.is_file() and _holds(file, embedder, digest)):
        began = time.perf_counter()
        build_index(file, documents, embedder, progress=progress)
        say(f"built in {time.perf_counter() - began:.0f} s")
    began = time.perf_counter()
    index = open_index(file, embedder, expected=digest)
    say(f"opened and checked in {time.perf_counter() - began:.1f} s")
    return index


def _holds(file: Path, embedder: Embedder, digest: str) -> bool:
    try:
        open_index(file, embedder, expected=digest).close()
    except KnowledgeError:
        return False
    return True


def _query(sentence: str, draws: random.Random) -> str:
    """Five to twenty words of a sentence: what a customer asks, or a model searches for."""
    words = sentence.split()
    start = draws.randrange(max(len(words) - 5, 1))
    return " ".join(words[start : start + draws.randint(5, 20)])


def _times(action: Callable[[str], object], queries: Sequence[str]) -> Floats:
    """Milliseconds on the clock and of this thread's CPU for each call after the warm-up, shape ``(calls, 2)``."""
    taken = []
    for query in queries:
        began, began_cpu = time.perf_counter(), time.thread_time()
        action(query)
        taken.append(((time.perf_counter() - began) * 1e3, (time.thread_time() - began_cpu) * 1e3))
    return np.array(taken[WARM_UP:])


def _say_times(label: str, taken: Floats) -> None:
    """The CPU's time stands beside the clock's: other work on the machine slows the clock's only."""
    (p50, cpu50), (p95, cpu95) = np.quantile(taken, [0.5, 0.95], axis=0)
    say(f"{label:<26}p50 {p50:5.1f} ms  p95 {p95:5.1f} ms   CPU {cpu50:5.1f} ms  {cpu95:5.1f} ms   n={len(taken)}")


def _peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
