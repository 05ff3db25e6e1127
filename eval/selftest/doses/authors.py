"""How often the guard objects to good texts by authors who knew no detector, and how novel their sentences are."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from eval.labels.texts import load_texts
from eval.spine.results import CaseResult, sentences_of
from figures.stats import rate_interval

_MOST_OBJECTED = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthorFigures:
    """One author's texts: how many there are, how many the guard objects to, and the mean novelty of their sentences."""

    author: str
    texts: int
    objected: int
    novelty: float


def author_figures(scored: Callable[[Mapping[str, str]], Sequence[CaseResult]]) -> tuple[AuthorFigures, ...]:
    """Return the figures of every author; ``scored`` gives the scored answers of texts by case id."""
    found = []
    for author, texts in load_texts().items():
        answers = [item for item in scored(texts) if item.scores["guard_clear"].value is not None]
        sentences = sentences_of(answers)
        found.append(
            AuthorFigures(
                author=author,
                texts=len(answers),
                objected=sum(item.scores["guard_clear"].value == 0 for item in answers),
                novelty=sum(one.novelty for one in sentences) / len(sentences),
            )
        )
    return tuple(found)


def authors_missed(authors: Sequence[AuthorFigures], novelty_bound: float) -> list[str]:
    """Return one line per bar that the texts miss: the guard's false alarms over all of them, novelty's floor by author."""
    texts, objected = sum(item.texts for item in authors), sum(item.objected for item in authors)
    missed = []
    if objected > _MOST_OBJECTED * texts:
        missed.append(f"the guard objects to {objected} of {texts} good texts, more than {_MOST_OBJECTED:.0%}")
    return missed + [
        f"{item.author}'s sentences are too novel: {item.novelty:.2f}, bound {novelty_bound}"
        for item in authors
        if item.novelty > novelty_bound
    ]


def author_lines(authors: Sequence[AuthorFigures]) -> list[str]:
    """Return the figures as a Markdown table; no lines without authors."""
    if not authors:
        return []
    lines = ["## Good texts by authors who knew no detector", ""]
    lines += ["| author | texts | the guard objects to, 95% interval | novelty |", "|---|---|---|---|"]
    for item in authors:
        share = rate_interval(item.objected, item.texts)
        lines.append(
            f"| {item.author} | {item.texts} | {item.objected} ({share.low:.1%} to {share.high:.1%}) | {item.novelty:.2f} |"
        )
    return [*lines, ""]
