"""Reads a task's case files for checking: every faulty line is reported, not only the first."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from pydantic import BaseModel

from eval.labels.claims.labels import CLAIMS
from eval.spine.case_rules import CaseRules, Passage
from eval.spine.cases import Case, numbered_lines, parse_case
from eval.spine.errors import CaseError

CALIBRATION = "judge_calibration"  # this file holds labelled outputs for the cases of other files instead of cases
# Copies of other files' cases with one sentence changed: the checks for copied passages would name all of them.
CONTRASTS = "contrasts"
_NO_CASES = (CALIBRATION, CLAIMS, CONTRASTS)


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseProblem:
    """One problem of a file, or of its ``line``; ``text`` says what is wrong and what to do. ``also`` is a second file's stem."""

    file: str
    text: str
    line: int = 0
    id: str = ""
    also: str = ""

    def concerns(self, file: str) -> bool:
        """Return whether the problem concerns ``file`` (a stem)."""
        return file in (self.file, self.also)

    def __str__(self) -> str:
        where = f"{self.file}.jsonl:{self.line}" if self.line else f"{self.file}.jsonl"
        return f"{where} {self.id}: {self.text}" if self.id else f"{where}: {self.text}"


@dataclass(frozen=True, kw_only=True)
class CaseLine:
    """A case with its file and line; ``inputs`` is the case's inputs parsed by the task's input model."""

    file: str
    line: int
    case: Case
    inputs: BaseModel
    rules: CaseRules

    @cached_property
    def passages(self) -> tuple[Passage, ...]:
        """The texts of the inputs, in order."""
        return self.rules.passages(self.inputs)

    @property
    def where(self) -> str:
        """File, line and id, as shown in another line's problem."""
        return f"{self.file}.jsonl:{self.line} {self.case.id}"

    def problem(self, text: str, also: "CaseLine | None" = None) -> CaseProblem:
        """Return ``text`` as a problem of this line."""
        return CaseProblem(file=self.file, line=self.line, id=self.case.id, text=text, also=also.file if also else "")


def case_paths(folder: Path) -> list[Path]:
    """Return the case files of ``folder`` by name, without the judges' files; ``CaseError`` if there are none."""
    paths = sorted(path for path in folder.glob("*.jsonl") if path.stem not in _NO_CASES)
    if not paths:
        raise CaseError(f"no case file in {folder}; write dev.jsonl there (see docs/guides/adding-a-task.md)")
    return paths


def read_case_file(
    path: Path, input_model: type[BaseModel], rules: CaseRules
) -> tuple[list[CaseLine], list[CaseProblem]]:
    """Return the cases of ``path`` in file order, and a problem for every line that is not a case."""
    found: list[CaseLine] = []
    problems: list[CaseProblem] = []
    lines = numbered_lines(path)
    for number, line in lines:
        try:
            case, inputs = parse_case(line, "", rules.scenario_model or input_model, rules.expectations)
        except CaseError as err:
            problems.append(CaseProblem(file=path.stem, line=number, text=str(err).removeprefix(": ")))
            continue
        found.append(CaseLine(file=path.stem, line=number, case=case, inputs=inputs, rules=rules))
    if not lines:
        problems.append(CaseProblem(file=path.stem, text="is empty; write one JSON object per line"))
    elif not found:
        text = f"none of its {len(lines)} lines is a valid case; mend what is named below"
        problems.append(CaseProblem(file=path.stem, text=text))
    return found, problems


def repeated_ids(lines: Iterable[CaseLine]) -> list[CaseProblem]:
    """Return a problem for each id that an earlier line uses, in the same file or another."""
    first: dict[str, CaseLine] = {}
    problems = []
    for line in lines:
        before = first.setdefault(line.case.id, line)
        if before is not line:
            problems.append(
                line.problem(
                    f"the id is also used in {before.file}.jsonl:{before.line}; give each case its own", also=before
                )
            )
    return problems
