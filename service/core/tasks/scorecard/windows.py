"""Splits a long call and a long form into parts that fit a model.

A part is one window of the transcript with one batch of criteria. Every turn is in a window, and each window is asked about all
criteria. The pair's output tokens limit a batch, since a truncated answer is invalid; its ``max_history_tokens`` limit criteria
and transcript of a part together.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from service.core.llm.pricing import estimated_tokens
from service.core.tasks.scorecard.form import Criterion, Form
from service.core.tasks.scorecard.transcript import Speaker, Turn, line_of
from service.kit.frame.errors import PairError

# With less, a criterion in a script with one token per character leaves too little room for the transcript.
LEAST_BUDGET = 1000
# Upper estimates of an answer's tokens per criterion (a reason and a quote of 160 characters each, and the JSON around them) and
# for the overview (six texts), for a model that writes one sentence per text.
ANSWER_TOKENS = 130
OVERVIEW_TOKENS = 320
# The largest share of the budget for criteria; the rest is for turns.
_CRITERIA_SHARE = 0.5
# The end of a window is repeated in the next one, up to these limits, so that a question and its answer are seen together.
_OVERLAP_TURNS = 2
_OVERLAP_SHARE = 0.15
_CUT = " [...]"
_SPACES = re.compile(r"\s+")


@dataclass(frozen=True, slots=True, kw_only=True)
class TranscriptLine:
    """A turn, or a piece of a long one; ``index`` is the turn's position in the call."""

    index: int
    speaker: Speaker
    start_s: float
    text: str

    def __str__(self) -> str:
        return line_of(self.index, self.speaker, self.start_s, self.text)


@dataclass(frozen=True, slots=True, kw_only=True)
class TranscriptPart:
    """The content of one model call. ``overview``: whether it also asks for an overview of the call."""

    lines: tuple[TranscriptLine, ...]
    criteria: tuple[Criterion, ...]
    window: int
    windows: int
    overview: bool
    condensed: bool = False  # a guidance or condition was cut to fit

    @property
    def transcript(self) -> str:
        """The window as text, with a header that numbers it if there are several."""
        return "\n".join((*_header(self.window, self.windows), *map(str, self.lines)))

    @property
    def asked(self) -> str:
        """The criteria as text."""
        return "\n".join(map(criterion_text, self.criteria))


def criterion_text(criterion: Criterion) -> str:
    """Return the prompt lines of a criterion: id and question, then guidance and prose condition if it has them.

    A condition that code evaluates is not shown: the model answers the question, and code decides whether it counts.
    """
    lines = [f"{criterion.id}: {_one_line(criterion.question)}"]
    if criterion.guidance:
        lines.append(f"  Guidance: {_one_line(criterion.guidance)}")
    if criterion.prose:
        lines.append(f"  Applies only when: {_one_line(criterion.prose)}")
    return "\n".join(lines)


def plan(turns: Sequence[Turn], form: Form, *, budget: int | None, answer_tokens: int) -> list[TranscriptPart]:
    """Return the parts of a call: for each window, in order, one part per batch of criteria.

    ``budget`` limits the estimated tokens of criteria and transcript in one part, ``answer_tokens`` those of an answer.

    Raises:
        PairError: the pair's limits are too small for any form.
    """
    if budget is not None and budget < LEAST_BUDGET:
        raise PairError(f"max_history_tokens {budget} is below {LEAST_BUDGET}, which a criterion and a turn need")
    most = (answer_tokens - OVERVIEW_TOKENS) // ANSWER_TOKENS
    if most < 1:
        raise PairError(
            f"maxOutputTokens {answer_tokens} is below {OVERVIEW_TOKENS + ANSWER_TOKENS}, the need of one criterion"
        )
    room = None if budget is None else int(budget * _CRITERIA_SHARE)
    criteria = [item if room is None else _fitted(item, room) for item in form.criteria()]
    batches = _batches(criteria, most, room)
    capacity = None if budget is None else budget - max(_tokens(map(criterion_text, batch)) for batch in batches)
    windows = _windows(turns, capacity)
    condensed = criteria != list(form.criteria())
    return [
        TranscriptPart(
            lines=window,
            criteria=batch,
            window=number,
            windows=len(windows),
            overview=first == 0,
            condensed=condensed,
        )
        for number, window in enumerate(windows, start=1)
        for first, batch in enumerate(batches)
    ]


def _header(window: int, windows: int) -> tuple[str, ...]:
    return () if windows == 1 else (f"(part {window} of {windows} of the call)",)


def _one_line(text: str) -> str:
    # A line break inside a criterion could make its second line look like another criterion.
    return _SPACES.sub(" ", text).strip()


def _tokens(lines: "Sequence[str] | map[str]") -> int:
    # The sum over lines, each with its line break, is never below the estimate of the joined text.
    return sum(estimated_tokens(f"{line}\n") for line in lines)


def _fitted(criterion: Criterion, room: int) -> Criterion:
    """Return the criterion with its guidance, then its condition, cut until it fits; the question is never cut."""
    for name in ("guidance", "applies_when"):
        over = _tokens([criterion_text(criterion)]) - room
        text = getattr(criterion, name)
        if over > 0 and isinstance(text, str) and text:
            kept, _ = _taken(text, max(estimated_tokens(text) - over - estimated_tokens(_CUT) - 2, 1))
            criterion = criterion.model_copy(update={name: kept + _CUT})
    return criterion


def _batches(criteria: Sequence[Criterion], most: int, room: int | None) -> list[tuple[Criterion, ...]]:
    batches: list[list[Criterion]] = [[]]
    for criterion in criteria:
        grown = _tokens(map(criterion_text, [*batches[-1], criterion]))
        if batches[-1] and (len(batches[-1]) >= most or (room is not None and grown > room)):
            batches.append([])
        batches[-1].append(criterion)
    return [tuple(batch) for batch in batches]


def _windows(turns: Sequence[Turn], capacity: int | None) -> list[tuple[TranscriptLine, ...]]:
    lines = [
        TranscriptLine(index=index, speaker=turn.speaker, start_s=turn.start_s, text=_one_line(turn.text))
        for index, turn in enumerate(turns)
        if turn.text.strip()
    ]
    if capacity is None or _tokens(map(str, lines)) <= capacity:
        return [tuple(lines)]
    capacity -= _tokens(_header(9999, 9999))
    pieces = [piece for line in lines for piece in _pieces(line, capacity)]
    windows: list[list[TranscriptLine]] = [[]]
    used = 0
    for piece in pieces:
        size = _tokens([str(piece)])
        if windows[-1] and used + size > capacity:
            repeated = _overlap(windows[-1], min(int(capacity * _OVERLAP_SHARE), capacity - size))
            windows.append(repeated)
            used = _tokens(map(str, repeated))
        windows[-1].append(piece)
        used += size
    return [tuple(window) for window in windows]


def _overlap(window: Sequence[TranscriptLine], room: int) -> list[TranscriptLine]:
    kept: list[TranscriptLine] = []
    for line in reversed(window[-_OVERLAP_TURNS:]):
        room -= _tokens([str(line)])
        if room < 0 or len(kept) + 1 == len(window):
            break
        kept.insert(0, line)
    return kept


def _pieces(line: TranscriptLine, capacity: int) -> list[TranscriptLine]:
    """Return the line, or pieces of it that each fit into a window."""
    if _tokens([str(line)]) <= capacity:
        return [line]
    room = capacity - _tokens([str(replace(line, text=""))]) - 1
    pieces, rest = [], line.text
    while rest:
        taken, rest = _taken(rest, room)
        pieces.append(replace(line, text=taken))
    return pieces


def _taken(text: str, tokens: int) -> tuple[str, str]:
    """Return the longest start of ``text`` within ``tokens``, cut between words if possible, and the rest."""
    quarters, end = 0, 0
    for end, char in enumerate(text):  # noqa: B007 - `end` is used after the loop
        quarters += 1 if char.isascii() else 4
        if quarters > 4 * tokens:
            break
    else:
        return text, ""
    space = text.rfind(" ", 1, end + 1)
    end = space if space > 0 else max(end, 1)
    return text[:end].rstrip(), text[end:].lstrip()
