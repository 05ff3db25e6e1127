"""A candidate as the text of a pair file: the file that the search began with, with other instructions, model or temperature."""

import hashlib
import json
import re
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from eval.spine.errors import OptimizeError
from service.core.run.task import Task
from service.core.unit.cards import ModelCards
from service.core.unit.pair import Lineage, Pair
from service.core.unit.pair_file import pair_of_text
from service.core.unit.pair_file.front_matter import FrontMatter
from service.kit.frame.errors import PairError
from service.kit.frame.strict import MOST_YAML_BYTES, read_strict

# A candidate: by name the instructions of each prompt ("main" and the pair's parts), "model" and "temperature".
CandidateTexts = dict[str, str]
MAIN, MODEL, TEMPERATURE = "main", "model", "temperature"
_SYSTEM = re.compile(r"^([ ]*)system:[ \t]*$", re.MULTILINE)
_NEXT_ROLE = re.compile(r"^[ ]*(user|assistant):[ \t]*$", re.MULTILINE)


def texts_key(texts: CandidateTexts) -> str:
    """Return the SHA-256 of a candidate."""
    return hashlib.sha256(json.dumps(sorted(texts.items())).encode()).hexdigest()


@dataclass(frozen=True, kw_only=True)
class PairWording:
    """Makes pairs from candidates. ``text`` is the file of the pair ``start``, at ``path``; lines end with a line feed."""

    path: Path
    text: str
    start: Pair
    task: Task[Any]
    cards: ModelCards
    _made: dict[str, Pair] = field(default_factory=dict, init=False, repr=False, compare=False)

    @classmethod
    def of_file(cls, path: Path, task: Task[Any], cards: ModelCards) -> "PairWording":
        """Read the pair file that a search begins with.

        Raises:
            PairError: it cannot be read.
        """
        if not path.exists():
            known = ", ".join(sorted(found.stem for found in path.parent.glob("*.prompty"))) or "none"
            raise PairError(f"no pair {path.stem!r} in {path.parent}; pairs there: {known}")
        text = read_strict(path, MOST_YAML_BYTES).replace("\r\n", "\n")
        start = pair_of_text(path, text, cards=cards, task_variables=task.variables, part_variables=task.part_variables)
        return cls(path=path, text=text, start=start, task=task, cards=cards)

    def texts(self, *, choices: Collection[str] = ()) -> CandidateTexts:
        """Return the candidate that ``start`` is; ``choices`` are further components of it, ``model`` or ``temperature``.

        Raises:
            OptimizeError: no prompt of the pair goes to a model, so there is nothing to word.
        """
        found = {
            part.name or MAIN: part.messages[0].content
            for part in self.start.prompts
            if self.cards.get(part.model).wire != "in_process"
        }
        if not found:
            raise OptimizeError(f"pair {self.start.name!r} asks code and no model: it has no instructions to improve")
        if MODEL in choices:
            found[MODEL] = self.start.model
        if TEMPERATURE in choices:
            found[TEMPERATURE] = f"{self.start.sampling.temperature:g}"
        return found

    def pair(self, texts: CandidateTexts, name: str | None = None, lineage: Lineage | None = None) -> Pair:
        """Return the pair that a candidate makes, as its file would be read.

        Raises:
            PairError: the instructions are none for this pair: they lack a tag of its inputs, or hold template code.
        """
        known = self._made.get(texts_key(texts)) if name is None else None
        if known is not None:
            return known
        named = name or f"{self.start.name}-c{texts_key(texts)[:8]}"
        made = pair_of_text(
            self.path.with_name(f"{named}.prompty"),
            self.file_text(texts, named, lineage),
            cards=self.cards,
            task_variables=self.task.variables,
            part_variables=self.task.part_variables,
        )
        meant = {part.name or MAIN: part.messages[0].content for part in made.prompts}
        if any(meant.get(name) != text for name, text in texts.items() if name not in (MODEL, TEMPERATURE)):
            raise PairError(
                "the instructions cannot be written into the pair file as they are: write them without blank lines around "
                "them, and without a line that names a role or is '---'"
            )
        if name is None:
            self._made[texts_key(texts)] = made
        return made

    def file_text(self, texts: CandidateTexts, name: str, lineage: Lineage | None = None) -> str:
        """Return the text of the file ``name``; every line that the candidate does not change stays as it is."""
        source = FrontMatter(self.path, self.text)
        lines = self.text.split("\n")
        changes = {"name": name, "model.id": texts.get(MODEL), "model.options.temperature": texts.get(TEMPERATURE)}
        for key, value in changes.items():
            if value is not None and str(source.get(key)) != value:
                _replace_value(lines, source, key, value)
        head = lines[: source.body_line - 2]
        body = "\n".join(lines[source.body_line - 1 :])
        for part, text in texts.items():
            if part == MAIN:
                body = _with_system(body, text, indent="")
            elif part not in (MODEL, TEMPERATURE):
                head = _with_part(head, source, part, text)
        head = _without_lineage(head)
        if source.get("role") == "floor":  # what a search made is no floor
            head = [line for line in head if not line.startswith("role:")]
        return "\n".join([*head, *_lineage_lines(lineage), "---", body])


def _replace_value(lines: list[str], source: FrontMatter, key: str, value: str) -> None:
    number = source.lines.get(key)
    if number is None:
        source.fail(
            key.rpartition(".")[0], f"write {key!r} into the pair on a line of its own, so that it can be changed"
        )
    field_name = key.rpartition(".")[2]
    # A function, because a value is no pattern: a model's id may hold what looks like a reference to a group.
    lines[number - 1] = re.sub(
        rf"(\b{field_name}:)[ \t]*[^\s,}}]+", lambda found: f"{found[1]} {value}", lines[number - 1], count=1
    )


def _with_system(prompt: str, text: str, *, indent: str) -> str:
    """Return a prompt's text with other instructions under ``system:``."""
    begins = _SYSTEM.search(prompt)
    assert begins is not None  # the pair was read
    ends = _NEXT_ROLE.search(prompt, begins.end())
    assert ends is not None
    said = "\n".join(f"{indent}{line}" if line.strip() else line for line in text.split("\n"))
    return f"{prompt[: begins.end()]}\n{said}\n{prompt[ends.start() :]}"


def _with_part(head: list[str], source: FrontMatter, part: str, text: str) -> list[str]:
    """Return the front matter with other instructions in a part's block."""
    first = source.lines[f"parts.{part}.prompt"]  # the block begins on the next line
    width = len(head[first]) - len(head[first].lstrip())
    last = first
    while last < len(head) and (not head[last].strip() or len(head[last]) - len(head[last].lstrip()) >= width):
        last += 1
    block = _with_system("\n".join(head[first:last]), text, indent=" " * width)
    return [*head[:first], *block.split("\n"), *head[last:]]


def _without_lineage(head: list[str]) -> list[str]:
    kept, inside = [], False
    for line in head:
        inside = line.startswith("lineage:") or (inside and line.startswith(" "))
        if not inside:
            kept.append(line)
    return kept


def _lineage_lines(lineage: Lineage | None) -> list[str]:
    if lineage is None:
        return []
    writers = ", ".join(json.dumps(name) for name in lineage.writers)
    return [
        "lineage:  # a search made this pair: the gate widens its intervals for so many looks at its cases",
        f"  run: {json.dumps(lineage.run)}",
        f"  number: {lineage.number}",
        f"  parent: {json.dumps(lineage.parent)}",
        f"  tried: {lineage.tried}",
        f"  looks: {lineage.looks}",
        f"  writers: [{writers}]",
    ]
