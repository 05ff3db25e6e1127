"""Learns the extractive digest's weights: ridge regression of what a statement is worth on its features."""

import random
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from eval.spine.cases import Case
from figures.arrays import Floats
from service.core.statements.grounding.text import fold, form_occurs
from service.core.tasks.summarize import SummarizeInputs
from service.core.tasks.summarize.digest import ReadHistory, read_history
from service.core.tasks.summarize.features import Candidate, content_words
from service.core.tasks.summarize.selection import Weights

FOLDS = 5
# The strength of the ridge, and what a case without labelled facts counts: chosen on 2026-11-22 by five-fold cross-validation
# over dev, challenge and the public dialogues, where neighbours differ by less than 0.01 in covered facts and 0.2 in chrF.
_RIDGE = 100.0
_DIALOGUE_COUNTS = 0.3
_LENGTH_POWER = 0.75
_REPETITION = 0.5
_DECIMALS = 4
_SEED = 20261122


@dataclass(frozen=True, slots=True, kw_only=True)
class Lesson:
    """A case with its history and what each of its candidates is worth."""

    case: Case
    history: ReadHistory
    worth: tuple[float, ...]
    counts: float


def lessons_of(cases: Iterable[Case]) -> list[Lesson]:
    """Return the cases to learn from: those with a history, and with labelled facts or references.

    A candidate is worth the number of facts that it states (half where it only holds the labelled span), at most 2. Without
    facts it is worth twice the mean share of the references' content words that it holds.
    """
    found = []
    for case in cases:
        visible = SummarizeInputs.model_validate(case.inputs).visible()
        if not visible or not (case.expectations.facts or case.expectations.references):
            continue
        history = read_history(visible)
        labelled = bool(case.expectations.facts)
        worth_of: Callable[[Case, Candidate], float] = _facts_in if labelled else _overlap
        found.append(
            Lesson(
                case=case,
                history=history,
                worth=tuple(worth_of(case, candidate) for candidate in history.candidates),
                counts=1.0 if labelled else _DIALOGUE_COUNTS,
            )
        )
    return found


def _facts_in(case: Case, candidate: Candidate) -> float:
    statement = candidate.statement
    shown, source = f"{statement.note.when}: {statement.shown}", fold(statement.source)
    worth = 0.0
    for fact in case.expectations.facts:
        span = fold(fact.span)
        if any(form_occurs(form, shown) for form in fact.accepted):
            worth += 1.0
        elif statement.note.item.interaction_id == fact.interaction_id and (span in source or source in span):
            worth += 0.5
    return min(worth, 2.0)


def _overlap(case: Case, candidate: Candidate) -> float:
    references = [content_words(reference) for reference in case.expectations.references]
    shares = [len(candidate.content & words) / max(len(words), 1) for words in references]
    return 2.0 * sum(shares) / len(shares)


def learn(lessons: Sequence[Lesson]) -> Weights:
    """Return the weights that ridge regression on standardised features gives; the same lessons give the same weights."""
    rows = [
        (candidate, worth, lesson.counts)
        for lesson in lessons
        for candidate, worth in zip(lesson.history.candidates, lesson.worth, strict=True)
    ]
    names = sorted({name for candidate, _, _ in rows for name in candidate.features} - {"one"})
    table = np.array([[candidate.features.get(name, 0.0) for name in names] for candidate, _, _ in rows])
    worths = np.array([worth for _, worth, _ in rows])
    counts = np.array([count for _, _, count in rows])
    slopes, start = _ridge(table, worths, counts)
    features = {name: round(float(slope), _DECIMALS) for name, slope in zip(names, slopes, strict=True)}
    return Weights(
        features={"one": round(start, _DECIMALS), **features}, length_power=_LENGTH_POWER, repetition=_REPETITION
    )


def _ridge(table: Floats, worths: Floats, counts: Floats) -> tuple[Floats, float]:
    means = np.average(table, axis=0, weights=counts)
    spreads = np.sqrt(np.average((table - means) ** 2, axis=0, weights=counts))
    spreads[spreads < 1e-9] = 1.0
    scaled = (table - means) / spreads
    mean = float(np.average(worths, weights=counts))
    weighted = (scaled * counts[:, None]).T
    slopes = np.linalg.solve(weighted @ scaled + _RIDGE * np.eye(table.shape[1]), weighted @ (worths - mean)) / spreads
    return slopes, mean - float(means @ slopes)


def out_of_fold(lessons: Sequence[Lesson]) -> dict[str, Weights]:
    """Return, per case id, weights that were learned without the case's fold: for measuring on the cases learned from."""
    order = list(range(len(lessons)))
    random.Random(_SEED).shuffle(order)
    found: dict[str, Weights] = {}
    for number in range(FOLDS):
        held_out = set(order[number::FOLDS])
        weights = learn([lesson for place, lesson in enumerate(lessons) if place not in held_out])
        found |= {lessons[place].case.id: weights for place in held_out}
    return found
