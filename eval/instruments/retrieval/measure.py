"""``omni knowledge measure``: recall of words, of meaning, and of both together, on public data."""

import sys
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from eval.instruments.retrieval.questions import LabelledQuestion, QuestionSet, public_sets
from eval.spine.errors import RetrievalError
from figures.arrays import Floats
from figures.stats import Interval, mean_interval
from service.core.knowledge.embedding import Embedder
from service.core.knowledge.index_digest import index_digest
from service.core.knowledge.index_file import BuildProgress, build_index
from service.core.knowledge.passages import Splitter
from service.core.knowledge.search import RANK_CONSTANT, fuse
from service.core.knowledge.sqlite_search import DEPTH, SqliteSearch, open_index
from service.kit.frame.display.terminal import say

CUTS = (5, 10)

Ranking = Callable[[str], Sequence[str]]


def recall_at(cut: int, ranked: Sequence[str], needed: frozenset[str]) -> float:
    """Return the share of ``needed`` documents among the first ``cut`` of ``ranked``."""
    return len(needed & set(ranked[:cut])) / len(needed)


def ceiling(cut: int, questions: Iterable[LabelledQuestion]) -> float:
    """Return the recall that the best ranking of all would have: a question may need more than ``cut`` documents."""
    return float(np.mean([min(cut, len(question.documents)) / len(question.documents) for question in questions]))


def recalls(questions: Sequence[LabelledQuestion], ranking: Ranking) -> Mapping[int, Floats]:
    """Return the recall at each of ``CUTS``, one figure per source of questions, in the order of the sources' names."""
    found: dict[str, list[list[float]]] = defaultdict(list)
    for question in questions:
        ranked = ranking(question.text)
        found[question.source].append([recall_at(cut, ranked, question.documents) for cut in CUTS])
    means = np.array([np.mean(found[source], axis=0) for source in sorted(found)])
    return {cut: means[:, place] for place, cut in enumerate(CUTS)}


def rate_of(values: Floats, seed: int) -> Interval:
    """Return the mean recall with its 95% interval over sources."""
    return _within(mean_interval(values, seed=seed, bounds=(0.0, 1.0)), 0.0)


def gain_of(values: Floats, others: Floats, seed: int) -> Interval:
    """Return by how much ``values`` are better than ``others`` on the same sources, with its 95% interval."""
    return _within(mean_interval(values - others, seed=seed, bounds=(-1.0, 1.0)), -1.0)


def _within(found: Interval, lowest: float) -> Interval:
    """The bootstrap's widened tails may pass what a recall can be."""
    low = None if found.low is None else max(found.low, lowest)
    high = None if found.high is None else min(found.high, 1.0)
    return Interval(value=found.value, low=low, high=high, n=found.n, method=found.method)


def first_places(documents: Iterable[str]) -> list[str]:
    """Return the documents of a ranking of passages, each where its first passage stands."""
    return list(dict.fromkeys(documents))


_SEED = 20261122
_METHODS = ("both", "words", "meaning")
_ALONE_DEPTH = 200  # passages of one ranking, enough for ten documents
# What `--tune` tries, on the dev split: most characters of a passage, RRF's constant, passages of each ranking.
_LENGTHS, _CONSTANTS, _DEPTHS = (400, 600, 1_000, 1_500), (10, 60), (50, 200)

MakeProgress = Callable[[], BuildProgress]


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """What a measurement needs: where indexes are kept, the model, and who says how far a build is."""

    folder: Path
    embedder: Embedder
    progress: MakeProgress

    def index(self, documents: QuestionSet, splitter: Splitter) -> SqliteSearch:
        """Return the index of a set, built if none with its digest is kept."""
        digest = index_digest(documents.documents, splitter, self.embedder.digest)
        file = self.folder / f"{digest[:12]}.sqlite"
        if not file.is_file():
            build_index(file, documents.documents, self.embedder, splitter=splitter, progress=self.progress())
        return open_index(file, self.embedder, expected=digest)


def measure(public_data: Path, bench: Bench, *, tune: bool = False) -> None:
    """Print recall at 5 and 10 with 95% intervals of both splits; with ``tune`` what the dev split says about settings.

    Raises:
        RetrievalError: no set is there, or a file is not what it should be.
    """
    sets, missing = public_sets(public_data)
    for line in missing:
        say(f"note: {line}", file=sys.stderr)
    if not sets:
        raise RetrievalError(
            f"no public set is in {public_data}; set OMNI_PUBLIC_DATA_DIR to the folder that holds them"
        )
    if tune:
        _print_tuning(sets, bench)
        return
    say(
        f"recall over documents, 95% intervals over sources of questions; passages of at most "
        f"{Splitter().most_characters} characters, rank constant {RANK_CONSTANT}, {DEPTH} passages of each ranking; "
        "settings were chosen on dev alone"
    )
    for one in sets:
        _print_set(one, bench.index(one, Splitter()))


def rankings(index: SqliteSearch, *, constant: int = RANK_CONSTANT, depth: int = DEPTH) -> Mapping[str, Ranking]:
    """Return for each method the function that ranks documents for a question."""

    def documents(numbers: Sequence[int]) -> list[str]:
        return first_places(index.document_of(number) for number in numbers)

    def both(text: str) -> list[str]:
        fused = fuse(index.by_words(text, depth=depth), index.by_meaning(text, depth=depth), constant=constant)
        return documents([one.key for one in fused])

    return {
        "both": both,
        "words": lambda text: documents(index.by_words(text, depth=_ALONE_DEPTH)),
        "meaning": lambda text: documents(index.by_meaning(text, depth=_ALONE_DEPTH)),
    }


def _print_set(one: QuestionSet, index: SqliteSearch) -> None:
    say(f"\n{one.name}: {one.kind}; {len(one.documents)} documents, {index.passages} passages")
    for split in ("dev", "test"):
        questions = one.of(split)
        if not questions:
            say(f"  {split}: no questions")
            continue
        found = {name: recalls(questions, ranking) for name, ranking in rankings(index).items()}
        sources = len(found["both"][CUTS[0]])
        best = ", ".join(f"{ceiling(cut, questions):.2f} at {cut}" for cut in CUTS)
        say(f"  {split}: {len(questions)} questions, n={sources} sources; no ranking can pass {best}")
        for name in _METHODS:
            say(f"    {name:<22}{_figures([rate_of(found[name][cut], _SEED) for cut in CUTS])}")
        for other in _METHODS[1:]:
            gains = [gain_of(found["both"][cut], found[other][cut], _SEED) for cut in CUTS]
            say(f"    both less {other:<12}{_figures(gains)}")


def _figures(intervals: Sequence[Interval]) -> str:
    cells = []
    for cut, found in zip(CUTS, intervals, strict=True):
        ends = "" if found.low is None or found.high is None else f" [{found.low:.3f}, {found.high:.3f}]"
        cells.append(f"recall@{cut} {found.value:.3f}{ends}".ljust(34))
    return "  ".join(cells).rstrip()


def _print_tuning(sets: Sequence[QuestionSet], bench: Bench) -> None:
    """Settings by mean recall@10 of both rankings together over the dev splits, the best first."""
    rows: list[tuple[float, str]] = []
    for length in _LENGTHS:
        indexes = [(one, bench.index(one, Splitter(most_characters=length))) for one in sets]
        for constant, depth in ((constant, depth) for constant in _CONSTANTS for depth in _DEPTHS):
            scores = [
                float(recalls(one.of("dev"), rankings(index, constant=constant, depth=depth)["both"])[10].mean())
                for one, index in indexes
            ]
            each = ", ".join(f"{one.name} {score:.3f}" for (one, _), score in zip(indexes, scores, strict=True))
            rows.append(
                (float(np.mean(scores)), f"passages {length:>5}, constant {constant:>2}, depth {depth:>3}: {each}")
            )
    say("recall@10 on the dev splits, mean first")
    for mean, line in sorted(rows, reverse=True):
        say(f"{mean:.3f}  {line}")
