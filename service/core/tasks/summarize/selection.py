"""Chooses statements for the extractive digest: learned weights say what matters, and what was said already counts less."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

from service.core.statements.grounding.quotable import why_not
from service.core.tasks.summarize.features import Candidate
from service.core.tasks.summarize.statements import NoteSentence
from service.kit.frame.errors import PairError

_MOST_TRIED = 400
_SAME = 0.8  # the share of common content words from which two statements say the same


@dataclass(frozen=True, slots=True, kw_only=True)
class Weights:
    """What was learned: a weight per feature, and how length and repetition count in the choice.

    A statement's value is the sum of its features' weights; one of no value is left out although there is room. The value is
    divided by the words to the power of ``length_power``, and reduced by ``repetition`` times the share of its content words
    that were said already.
    """

    features: Mapping[str, float]
    length_power: float
    repetition: float

    @classmethod
    def parse(cls, content: bytes) -> "Weights":
        """Read the weights that ``omni bench floor --fit`` wrote. Raises ``PairError``: the bytes hold no weights."""
        try:
            return cls(**json.loads(content))
        except (ValueError, TypeError) as err:
            raise PairError(
                f"the digest's weights cannot be read ({type(err).__name__}): learn them with `omni bench floor --fit`"
            ) from err

    def content(self) -> bytes:
        """Return the bytes that ``parse`` reads."""
        return (json.dumps(asdict(self), indent=1) + "\n").encode()

    def value_of(self, candidate: Candidate) -> float:
        """Return the sum of the weights of the candidate's features."""
        return sum(self.features.get(name, 0.0) * value for name, value in candidate.features.items())


def choose(
    candidates: Sequence[Candidate], words: int, weights: Weights, secrets: frozenset[str]
) -> list[NoteSentence]:
    """Return the statements worth most within ``words`` words (day, channel and speaker included), the best first.

    Greedy. At most 400 candidates are compared, so that the time stays proportional to the history's length.
    """
    valued = [(weights.value_of(candidate), candidate) for candidate in candidates]
    ranked = sorted(
        ((value, c) for value, c in valued if value > 0.0),
        key=lambda pair: (
            -pair[0] / pair[1].statement.words ** weights.length_power,
            -pair[1].statement.position,
            pair[1].statement.place,
        ),
    )[:_MOST_TRIED]
    chosen: list[NoteSentence] = []
    contents: list[frozenset[str]] = []
    said: set[str] = set()
    introduced: set[tuple[int, str]] = set()
    while ranked:
        best, best_gain, left = None, 0.0, []
        for value, candidate in ranked:
            cost = _cost(candidate.statement, introduced)
            if cost > words:
                continue
            left.append((value, candidate))
            again = len(candidate.content & said) / max(len(candidate.content), 1)
            gain = value * (1 - weights.repetition * again) / cost**weights.length_power
            if gain > best_gain:
                best, best_gain = candidate, gain
        if best is None:
            break
        ranked = [pair for pair in left if pair[1] is not best]
        if not _is_among(best.content, contents) and _may_quote(best.statement, secrets):
            words -= _cost(best.statement, introduced)
            chosen.append(best.statement)
            contents.append(best.content)
            introduced |= {(best.statement.position, ""), (best.statement.position, best.statement.speaker)}
            said |= best.content
    return chosen


def _cost(s: NoteSentence, introduced: set[tuple[int, str]]) -> int:
    prefix = 0 if (s.position, "") in introduced else len(s.note.when.split())
    return s.words + prefix + (0 if (s.position, s.speaker) in introduced or not s.speaker else len(s.speaker.split()))


def _is_among(content: frozenset[str], others: Sequence[frozenset[str]]) -> bool:
    return any(len(content & other) >= _SAME * len(content | other) for other in others)


def _may_quote(statement: NoteSentence, secrets: frozenset[str]) -> bool:
    # Expensive, so it is checked last, for the few statements that would be chosen.
    lowered = statement.source.lower()
    return not (
        any(secret in lowered for secret in secrets)
        or why_not(statement.source) is not None
        or statement.block in statement.note.spoilt
    )
