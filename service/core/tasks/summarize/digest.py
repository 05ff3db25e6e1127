"""The extractive digest: a deterministic summary from statements of the interactions, without a model."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from service.core.statements.grounding.quotable import cleaned, holds_number, secrets_in, why_not
from service.core.statements.grounding.relative_days import in_english
from service.core.tasks.summarize.features import Candidate, candidates_of
from service.core.tasks.summarize.notes import Note, read_note
from service.core.tasks.summarize.selection import Weights, choose
from service.core.tasks.summarize.statements import NoteSentence, statements_of
from service.core.unit.interaction import Interaction
from service.core.unit.pair import Artifact
from service.core.unit.pair_file.artifacts import built_in

# What a pair that names no weights gets; the digest's id ends in what was a digest of them, and stays what it is.
OWN_WEIGHTS = Artifact(
    name="digest",
    file="digest_weights.json",
    sha256="f9009873bd6e039e6f3e0fc416382cf35e02f144a9db9e5e2eca456c3c63f3f4",
)
WEIGHTS = Weights.parse(built_in("summarize", OWN_WEIGHTS))
MODEL_ID = "local.extractive-digest-v3-2d458dc5"

_REFERENCE = re.compile(r"\$\s?\d{1,3}(?:,\d{3}){0,3}(?:\.\d\d)?\b|\b[A-Z]{2,4}[- ]?\d{2,6}(?:-\d{1,4})?\b")
_SAID_DAY = re.compile(r"\b(\d{1,2}) (jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*", re.I)
_WORD_BUDGET = 108  # the suite accepts 110
_OPENING_WORDS = 60
_NOTE_VALUES = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadHistory:
    """A history, read for the digest: how it opens and closes, and what it may choose in between."""

    opening: tuple[str, ...]
    closing: str
    candidates: tuple[Candidate, ...]
    secrets: frozenset[str]


def extractive_digest(interactions: Sequence[Interaction], weights: Weights = WEIGHTS) -> str:
    """Return a digest of at most 108 words; the same interactions, oldest first, and weights give the same text.

    It gives the number of interactions and the first day, then the statements that learned weights prefer, in their order, each
    contact under its day and channel, and the latest outcome. Shorthand is written out; what somebody says in the first or
    second person is quoted. Statements that ``service.core.statements.grounding.quotable`` rejects and planted texts
    are left out. For texts in other languages it gives amounts, references and dates only. An empty history gives
    "No interactions found."
    """
    return digest_of(read_history(interactions), weights) if interactions else "No interactions found."


def read_history(interactions: Sequence[Interaction]) -> ReadHistory:
    """Read at least one interaction, oldest first."""
    notes = [read_note(item) for item in interactions]
    opening = [_head(interactions)]
    for sentence in _foreign(notes):
        if len(" ".join([*opening, sentence]).split()) <= _OPENING_WORDS:
            opening.append(sentence)
    return ReadHistory(
        opening=tuple(opening),
        closing=_outcome(notes[-1]),
        candidates=tuple(candidates_of(statements_of(notes), len(notes))),
        secrets=frozenset[str]().union(*(secrets_in(note.text) for note in notes)),
    )


def digest_of(history: ReadHistory, weights: Weights) -> str:
    """Return the digest of ``history`` whose statements ``weights`` choose."""
    room = _WORD_BUDGET - len(" ".join([*history.opening, history.closing]).split())
    chosen = choose(history.candidates, room, weights, history.secrets)
    text = _joined(history, chosen)
    # The least valuable ones make way where a speaker named again needs room, or where two statements' figures form a number.
    while chosen and (len(text.split()) > _WORD_BUDGET or holds_number(text)):
        chosen.pop()
        text = _joined(history, chosen)
    return text


def _joined(history: ReadHistory, chosen: Sequence[NoteSentence]) -> str:
    return " ".join([*history.opening, *_told(chosen), history.closing]).strip()


def _told(chosen: Sequence[NoteSentence]) -> Iterator[str]:
    position, speaker = -1, ""
    for statement in sorted(chosen, key=lambda s: (s.position, s.place)):
        if statement.position != position:
            position, speaker = statement.position, ""
            yield f"{statement.note.when}:"
        if statement.speaker and statement.speaker != speaker:
            yield f"{statement.speaker}:"
        speaker = statement.speaker
        yield statement.shown


def _head(interactions: Sequence[Interaction]) -> str:
    first = interactions[0].timestamp
    day = f"{first:%b} {first.day}"
    return f"1 interaction on {day}." if len(interactions) == 1 else f"{len(interactions)} interactions since {day}."


def _outcome(note: Note) -> str:
    outcome = " ".join(cleaned(note.item.outcome or "").split()).rstrip(".")
    short = 0 < len(outcome.split()) <= 20
    return f"Latest outcome: {outcome}." if short and not note.language and why_not(outcome) is None else ""


def _foreign(notes: Sequence[Note]) -> Iterator[str]:
    """Yield a sentence per language other than English: its interactions, amounts, references and dates."""
    for language in dict.fromkeys(language for note in notes for language in note.foreign):
        among = [note for note in notes if language in note.foreign]
        values: dict[str, None] = {}
        for note in reversed(among):
            text = in_english(note.foreign[language])
            found = [(m.start(), m[0]) for m in _REFERENCE.finditer(text) if why_not(m[0]) is None]
            found += [(m.start(), f"{m[2][:3].capitalize()} {m[1]}") for m in _SAID_DAY.finditer(text)]
            values |= dict.fromkeys(value for _, value in sorted(found))
        where = among[0].when if len(among) == 1 else f"{among[0].when} to {among[-1].when}"
        part = "" if all(note.language for note in among) else "partly "
        told = f", naming {', '.join(list(values)[:_NOTE_VALUES])}" if values else ""
        yield f"{where} {part}in {language}, not quoted{told}."
