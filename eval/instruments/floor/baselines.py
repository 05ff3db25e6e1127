"""Digests that anybody could make: the first, the last and random statements of a history, at a given number of words."""

import random
from collections.abc import Mapping, Sequence

from service.core.statements.grounding.text import sentences
from service.core.unit.interaction import Interaction

BASELINES = ("lead", "last", "random")
RANDOM_DRAWS = 10  # per case; their scores are averaged, so that luck of the draw does not count


def baseline_texts(interactions: Sequence[Interaction], words: int, seed: str) -> Mapping[str, tuple[str, ...]]:
    """Return each baseline's texts of exactly ``words`` words, or fewer where the history has fewer.

    ``lead`` and ``last`` are raw words, whatever they are; ``random`` are whole statements in the history's order, the last one
    that was drawn cut to fit. The same ``seed`` gives the same draws.
    """
    raw = [word for item in interactions for word in item.text.split()]
    statements = [sentence.split() for item in interactions for sentence in sentences(item.text)]
    draws = random.Random(seed)
    return {
        "lead": (" ".join(raw[:words]),),
        "last": (" ".join(raw[max(len(raw) - words, 0) :]),),
        "random": tuple(_drawn(statements, words, draws) for _ in range(RANDOM_DRAWS)),
    }


def _drawn(statements: Sequence[Sequence[str]], words: int, draws: random.Random) -> str:
    order = list(range(len(statements)))
    draws.shuffle(order)
    taken: dict[int, Sequence[str]] = {}
    for place in order:
        if words <= 0:
            break
        taken[place] = statements[place][:words]
        words -= len(taken[place])
    return " ".join(" ".join(taken[place]) for place in sorted(taken))
