"""Reads a task's good answers and their minimal edits from ``datasets/<task>/contrasts``.

``good.jsonl`` holds good answers by several hands, none of them a reference and none filtered by a detector. ``dev.jsonl`` and
``gate.jsonl`` edit the answers of the hand called ``full``; ``kept.jsonl`` holds the kinds of harm that nobody reads who builds a
detector or a judge: they are for testing alone. ``afterwards.jsonl`` holds kinds that somebody invented after detectors and sets
were built, to see what happens; nothing is promised of them. ``conversations.jsonl`` edits one reply of a conversation; its good
answers are whole conversations, worded as ``eval/dialogue/transcript.py`` words them.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from eval.spine.cases import numbered_lines
from eval.spine.code_digest import without_words
from eval.spine.errors import CaseError
from service.kit.frame.canonical import sha256_hex

FOLDER = "contrasts"
EDITED = "full"  # the hand whose answers are edited
KEPT, AFTERWARDS = "kept", "afterwards"
_CONVERSATIONS = "conversations"
_EDITS = ("dev", "gate", KEPT, _CONVERSATIONS)
_Row = TypeVar("_Row", bound=BaseModel)


class GoodAnswer(BaseModel):
    """One line of ``good.jsonl``: a faithful answer to one case, by one hand."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    case_id: str
    writer: str = Field(pattern=r"^[a-z_]{2,20}$")
    text: str = Field(min_length=1)


class EditRow(BaseModel):
    """One edit: ``before`` occurs exactly once in the edited hand's answer and gives way to ``after``."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str = Field(pattern=r"^[A-Za-z0-9_.-]{3,80}$")
    case_id: str
    label: Literal["wrong", "right"]
    kind: str = Field(pattern=r"^[a-z_]{3,40}$")
    before: str = Field(min_length=1)
    after: str


@dataclass(frozen=True, slots=True, kw_only=True)
class MinimalEdit:
    """A good answer and its edited ``text``. ``kept``: the kind, or the row, is for testing alone.

    ``harm_class`` is the ``HarmClass`` of an edit that a judge's licence counts, else "". ``held``: code made the edit after the
    judge was fixed, from a seed of the judge's digest and the quarter.
    """

    id: str
    case_id: str
    kind: str
    wrong: bool
    kept: bool
    before: str
    after: str
    good: str
    harm_class: str = ""
    held: bool = False

    @property
    def text(self) -> str:
        """The edited answer."""
        return self.good.replace(self.before, self.after, 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class ContrastSets:
    """All good answers (writer -> case id -> text) and all contrasts, with the digest of their files' bytes.

    ``afterwards`` are the edits that were invented later; they measure no judge and are outside the digest.
    """

    good: Mapping[str, Mapping[str, str]]
    contrasts: tuple[MinimalEdit, ...]
    digest: str
    afterwards: tuple[MinimalEdit, ...] = ()

    def of_cases(self, case_ids: Mapping[str, object] | frozenset[str]) -> tuple[MinimalEdit, ...]:
        """Return the contrasts of these cases."""
        return tuple(item for item in self.contrasts if item.case_id in case_ids)

    @property
    def wrong_kinds(self) -> tuple[str, ...]:
        """The kinds of harm, sorted, the kept ones last."""
        kinds = {(item.kept, item.kind) for item in self.contrasts if item.wrong}
        return tuple(kind for _, kind in sorted(kinds))


def has_contrasts(datasets_dir: Path, task: str) -> bool:
    """Return whether the task has contrast sets."""
    return (datasets_dir / task / FOLDER / "good.jsonl").exists()


def load_contrasts(datasets_dir: Path, task: str) -> ContrastSets:
    """Read good answers and edits strictly.

    Raises:
        CaseError: a file is missing, or a row is wrong; the message names file and line.
    """
    folder = datasets_dir / task / FOLDER
    if not has_contrasts(datasets_dir, task):
        raise CaseError(f"task {task!r} has no contrast sets; write {folder / 'good.jsonl'} first")
    good: dict[str, dict[str, str]] = {}
    for place, answer in _rows(folder / "good.jsonl", GoodAnswer):
        by_case = good.setdefault(answer.writer, {})
        if answer.case_id in by_case:
            raise CaseError(f"{place}: {answer.writer!r} answers case {answer.case_id!r} twice")
        by_case[answer.case_id] = answer.text
    files = [folder / f"{name}.jsonl" for name in _EDITS]
    contrasts: dict[str, MinimalEdit] = {}
    for path in [path for path in files if path.exists()]:
        for place, row in _rows(path, EditRow):
            if row.id in contrasts:
                raise CaseError(f"{place}: id {row.id!r} stands twice; give each row its own")
            contrasts[row.id] = _contrast(row, good.get(EDITED, {}), kept=path.stem == KEPT, place=place)
    later = folder / f"{AFTERWARDS}.jsonl"
    afterwards = tuple(
        _contrast(row, good.get(EDITED, {}), kept=True, place=place)
        for place, row in (_rows(later, EditRow) if later.exists() else ())
    )
    digest = contrasts_digest(datasets_dir, task)
    assert digest is not None
    return ContrastSets(good=good, contrasts=tuple(contrasts.values()), digest=digest, afterwards=afterwards)


def contrasts_digest(datasets_dir: Path, task: str) -> str | None:
    """Return the digest of the task's contrast files and of the code that edits by rules, None if it has none."""
    if not has_contrasts(datasets_dir, task):
        return None
    paths = [datasets_dir / task / FOLDER / f"{name}.jsonl" for name in ("good", *_EDITS)]
    there = [path for path in paths if path.exists()]
    names = (
        ("twins.py", "twins.jsonl")
        if _CONVERSATIONS in {path.stem for path in there}
        else ("by_code.py", "inventions.py")
    )
    return sha256_hex("\0".join([*(path.read_text(encoding="utf-8") for path in there), *map(_editing_code, names)]))


@cache
def _editing_code(name: str) -> str:
    text = (Path(__file__).parent / name).read_text(encoding="utf-8")
    return without_words(text) if name.endswith(".py") else text


def _contrast(row: EditRow, answers: Mapping[str, str], *, kept: bool, place: str) -> MinimalEdit:
    text = answers.get(row.case_id)
    if text is None:
        raise CaseError(f"{place}: good.jsonl has no answer of {EDITED!r} to case {row.case_id!r}")
    if (count := text.count(row.before)) != 1:
        raise CaseError(f"{place}: 'before' must occur exactly once in the good answer, not {count} times")
    if row.before == row.after:
        raise CaseError(f"{place}: the edit changes nothing")
    return MinimalEdit(
        id=row.id,
        case_id=row.case_id,
        kind=row.kind,
        wrong=row.label == "wrong",
        kept=kept,
        before=row.before,
        after=row.after,
        good=text,
    )


def _rows(path: Path, model: type[_Row]) -> Iterator[tuple[str, _Row]]:
    for number, line in numbered_lines(path):
        place = f"{path}:{number}"
        try:
            yield place, model.model_validate_json(line)
        except ValidationError as err:
            first = err.errors(include_url=False)[0]
            field = ".".join(map(str, first["loc"])) or "the line"
            raise CaseError(f"{place}: {field}: {first['msg']}; mend the line and run again") from err
