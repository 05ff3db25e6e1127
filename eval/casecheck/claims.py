"""Checks the labelled claims against the cases that they label: every claim once, and contrasts that are minimal."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from eval.casecheck.files import CaseLine, CaseProblem
from eval.labels.claims.labels import FORBIDDEN, ClaimRow, read_claim
from eval.spine.cases import Case, numbered_lines
from eval.spine.errors import CaseError

# A contrast is about as long as its statement, and one of a fact shares words with it. Over 3,000 contrasts by hand
# (2026-11-22) 99.9% keep both.
_LENGTH_RATIO = (0.3, 2.5)
_WORD = re.compile(r"[\w$€£%]+(?:[.,:]\d+)*")


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimFindings:
    """The result of the check; ``contrasts`` counts sentences."""

    problems: tuple[CaseProblem, ...]
    rows: int
    critical: int
    contrasts: int


def check_claims(path: Path, lines: Sequence[CaseLine], files: Sequence[str]) -> ClaimFindings:
    """Check the rows of ``path``. Every fact and forbidden claim of the cases in ``files`` (stems) must have one."""
    problems: list[CaseProblem] = []
    rows: dict[str, ClaimRow] = {}
    cases = {line.case.id: line.case for line in lines}

    def problem(number: int, row_id: str, text: str) -> None:
        problems.append(CaseProblem(file=path.stem, line=number, id=row_id, text=text))

    for number, text in numbered_lines(path):
        try:
            row = read_claim(text, "")
        except CaseError as err:
            problem(number, "", str(err).removeprefix(": "))
            continue
        if row.id in rows:
            problem(number, row.id, "the id occurs twice; label each claim once")
        rows.setdefault(row.id, row)
        for fault in _row_faults(row, cases.get(row.case_id)):
            problem(number, row.id, fault)
    for line in lines:
        if line.file in files:
            missing = [name for name in _wanted(line.case) if name not in rows]
            if missing:
                problem(0, line.case.id, f"has no labelled claim {', '.join(missing)}; add a row for each")
    return ClaimFindings(
        problems=tuple(problems),
        rows=len(rows),
        critical=sum(row.critical for row in rows.values()),
        contrasts=sum(len(row.contrasts) for row in rows.values()),
    )


def _wanted(case: Case) -> list[str]:
    facts = [f"{case.id}/f{number}" for number in range(1, len(case.expectations.facts) + 1)]
    return facts + [f"{case.id}/x{number}" for number in range(1, len(case.expectations.forbidden) + 1)]


def _row_faults(row: ClaimRow, case: Case | None) -> list[str]:
    """Return what is wrong with a row, a sentence for each problem."""
    if case is None:
        return [f"no case {row.case_id!r} in any file; mend the id"]
    if row.id not in _wanted(case):
        kind = "forbidden claim" if row.source == FORBIDDEN else "fact"
        return [f"case {row.case_id!r} has no {kind} number {row.number}; mend the number, or remove the row"]
    found = []
    if row.source == "fact" and row.critical != case.expectations.facts[row.number - 1].critical:
        found.append("the case and this row differ on whether the fact is critical; mend one of them")
    statement = _words(row.statement)
    for dimension, text in row.contrasts.items():
        words = _words(text)
        if words == statement:
            found.append(f"contrast {dimension!r} equals the statement; change what it is about")
            continue
        ratio = len(words) / max(len(statement), 1)
        if not _LENGTH_RATIO[0] <= ratio <= _LENGTH_RATIO[1]:
            found.append(f"contrast {dimension!r} is {ratio:.1f} times as long as the statement; write it as long")
        elif dimension != FORBIDDEN and not set(words) & set(statement):
            found.append(f"contrast {dimension!r} shares no word with the statement; change one thing only")
    if len({tuple(_words(text)) for text in row.contrasts.values()}) < len(row.contrasts):
        found.append("two contrasts are equal; leave one out")
    return found


def _words(text: str) -> list[str]:
    return _WORD.findall(text.casefold())
