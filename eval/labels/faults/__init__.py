"""Faults that somebody planted who had not read the detectors: kinds, wordings, and how each is put into an answer."""

import json
import random
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

Operation = Literal["append", "prepend", "replace_sentence", "insert_middle", "edit"]

_FOLDER = Path(__file__).parent
_MONTHS = "January|February|March|April|May|June|July|August|September|October|November|December"
_MONTH = re.compile(rf"\b({_MONTHS})\b|\b(Jan|Feb|Mar|Apr|Jun|Jul|Aug|Sept?|Oct|Nov|Dec)\b")
_AMOUNT = re.compile(r"[$£€]\s?\d[\d,]*(?:\.\d\d)?")
_DATE = re.compile(
    rf"\b(?:(?:{_MONTHS})|(?:Jan|Feb|Mar|Apr|Jun|Jul|Aug|Sept?|Oct|Nov|Dec)\.?) \d{{1,2}}\b"
    rf"|\b\d{{1,2}} (?:{_MONTHS})\b|\b\d{{1,2}}/\d{{1,2}}\b"
)
_TITLED = re.compile(r"\b(?:Mrs?|Ms|Miss|Dr)\.? [A-Z][a-z]+(?:-[A-Z][a-z]+)?")
_SPEAKER = re.compile(r"(?m)^([A-Z][a-z]+(?: [A-Z][a-z]+)?):")
_FULL_NAME = re.compile(r"\b[A-Z][a-z]{2,} [A-Z][a-z]{2,}\b")
_NO_NAMES = (
    "To From Subject Re Fwd Agent Customer System Note Dear App Good Your The Our Reminder Visitor Guest New Kestrel"
    " Osprey Brindlewick Lindmoor Third Date Outage Office Location Dispatch Comment Cust Wife Notice Final So Request"
)
_PLACEHOLDER = re.compile(r"\{(amount|date|name|month)\}")
_SENTENCE_END = re.compile(r"(?<=[.!?])(?<!Mr\.)(?<!Ms\.)(?<!Dr\.)(?<!Mrs\.)(?<!a\.m\.)(?<!p\.m\.)\s+(?=\S)")


@dataclass(frozen=True, slots=True, kw_only=True)
class WrittenFault:
    """One kind of fault of one task's answers.

    `group` is the row's `class`, `part` its `field`: of a scorecard "summary", "reason" or "action_item", of a conversation
    "note" for the handover note, else empty.
    `edits` are (pattern, replacement) pairs of kinds whose operation is "edit"; all others have `wordings`.
    `needs` and `unless` are patterns, read without case, that the source must and must not hold.
    """

    kind: str
    group: str
    code_visible: bool
    does: str
    operation: Operation
    wordings: tuple[str, ...]
    edits: tuple[tuple[str, str], ...]
    needs: str
    unless: str
    part: str


def load(task: Literal["summarize", "assistant", "scorecard"]) -> list[WrittenFault]:
    """Every kind of fault written for `task`: of its file, of ``<task>_second.jsonl`` and of ``<task>_never.jsonl``."""
    paths = [_FOLDER / f"{name}.jsonl" for name in (task, f"{task}_second", f"{task}_never")]
    lines = [line for path in paths if path.exists() for line in path.read_text(encoding="utf-8").splitlines()]
    return [_kind(json.loads(line)) for line in lines]


def plant(kind: WrittenFault, text: str, source_text: str, rng: random.Random) -> str | None:
    """`text` with one fault of `kind`, in a wording drawn by `rng`; same seed, same fault.

    Args:
        kind: The kind to plant.
        text: A right answer, or the named field of one.
        source_text: What the answer is about (interactions or turns); fills {amount}, {date}, {name}, {month}.
        rng: Draws the wording, and the place where it has one.

    Returns:
        A text that differs from `text`, or None where the kind does not fit this case.
    """
    if kind.needs and not re.search(kind.needs, source_text, re.IGNORECASE):
        return None
    if kind.unless and re.search(kind.unless, source_text, re.IGNORECASE):
        return None
    if kind.operation == "edit":
        edited = (re.sub(pattern, put, text, count=1) for pattern, put in rng.sample(kind.edits, len(kind.edits)))
        return next((each for each in edited if each.strip() and each != text), None)
    for wording in rng.sample(kind.wordings, len(kind.wordings)):
        sentence = filled(wording, source_text)
        if sentence is not None:
            return _placed(kind.operation, text, sentence, rng)
    return None


def filled(wording: str, source_text: str) -> str | None:
    """`wording` with each placeholder replaced by its first mention in `source_text`; None where one has no mention."""
    values = {mark: _mention(mark, source_text) for mark in _PLACEHOLDER.findall(wording)}
    return None if None in values.values() else _PLACEHOLDER.sub(lambda match: values[match[1]] or "", wording)


def _mention(mark: str, source: str) -> str | None:
    if mark == "month":
        found = _MONTH.search(source)
        return found and next(month for month in _MONTHS.split("|") if month.startswith(found[0][:3]))
    if mark == "name":
        names = [*_TITLED.findall(source), *_SPEAKER.findall(source), *_FULL_NAME.findall(source)]
        return next((name for name in names if name.split()[0] not in _NO_NAMES.split()), None)
    found = (_AMOUNT if mark == "amount" else _DATE).search(source)
    return found[0] if found else None


def _placed(operation: Operation, text: str, sentence: str, rng: random.Random) -> str:
    sentences = _SENTENCE_END.split(text.strip())
    match operation:
        case "prepend":
            sentences.insert(0, sentence)
        case "insert_middle":
            sentences.insert(len(sentences) // 2 if len(sentences) > 1 else 1, sentence)
        case "replace_sentence":
            sentences[rng.randrange(len(sentences))] = sentence
        case _:
            sentences.append(sentence)
    return " ".join(sentences)


def _kind(row: dict[str, Any]) -> WrittenFault:
    wordings, edits = tuple(row.pop("wordings", ())), tuple((pattern, put) for pattern, put in row.pop("edits", ()))
    values = {"needs": "", "unless": "", "group": row.pop("class"), "part": row.pop("field", "")} | row
    return WrittenFault(wordings=wordings, edits=edits, **values)
