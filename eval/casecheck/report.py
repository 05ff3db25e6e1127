"""Prints the result of checking the case files: one line per problem, then the composition of the files."""

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from eval.casecheck.balance import CaseBalance
from eval.casecheck.calibration import OVERLAP_AUC, CalibrationFindings
from eval.casecheck.check import Findings
from eval.casecheck.files import CALIBRATION, CaseProblem
from eval.labels.claims.labels import CLAIMS

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

_WIDTH = 100
_SHOWN = 3  # problems of one kind that are shown one by one
# What a problem quotes and counts, and other cases' places: two problems that differ only in these are of one kind.
_VALUES = re.compile(r"'[^']*'|\"[^\"]*\"|\S*\d\S*")


def render_findings(findings: Findings, console: "Console") -> None:
    """Print problems, balance tables, the calibration rows and a line per file; all but the problems fit 100 columns."""
    for line in problem_lines(findings.problems):
        console.print(line, soft_wrap=True, markup=False)
    if findings.problems:
        console.print()
    if any(balance.cases for balance in findings.balances):
        console.print(_shares_table(findings.balances), width=_WIDTH)
        console.print(_spreads_table(findings.balances), width=_WIDTH)
    if findings.calibration is not None:
        console.print(_calibration_table(findings.calibration), width=_WIDTH)
    for balance in findings.balances:
        count = sum(problem.concerns(balance.file) for problem in findings.problems)
        digest = f", digest {findings.digests[balance.file][:12]}" if balance.cases else ""
        console.print(
            f"{balance.file}: {balance.cases} cases, {balance.second_references} second references, "
            f"{_counted(count)}{digest}",
            soft_wrap=True,
        )
    if findings.calibration is not None:
        count = sum(problem.concerns(CALIBRATION) for problem in findings.problems)
        console.print(
            f"{CALIBRATION}: {findings.calibration.rows} rows, {_counted(count)}, "
            f"digest {findings.digests[CALIBRATION][:12]}",
            soft_wrap=True,
        )
    if findings.claims is not None:
        found = findings.claims
        count = sum(problem.concerns(CLAIMS) for problem in findings.problems)
        console.print(
            f"{CLAIMS}: {found.rows} rows ({found.critical} critical), {found.contrasts} contrasts, {_counted(count)}, "
            f"digest {findings.digests[CLAIMS][:12]}",
            markup=False,
            soft_wrap=True,
        )


def problem_lines(problems: Sequence[CaseProblem]) -> list[str]:
    """Return the problems as lines, those of one kind together.

    A mistake of a file's format is in every line of it. Of problems that differ in nothing but the line, or in what they quote
    or count, the first three are shown, and then how many more there are.
    """
    kinds: dict[tuple[str, bool, str], list[CaseProblem]] = {}
    for problem in problems:
        key = (problem.file, bool(problem.line), _VALUES.sub("…", problem.text))
        kinds.setdefault(key, []).append(problem)
    lines = []
    for (file, _, _), found in kinds.items():
        if len(found) <= _SHOWN + 1:
            lines += [str(problem) for problem in found]
        elif len({problem.text for problem in found}) == 1:
            first = ", ".join(str(problem.line) for problem in found[:_SHOWN])
            lines.append(f"{file}.jsonl: {found[0].text} ({len(found)} lines: {first}, …, {found[-1].line})")
        else:
            lines += [str(problem) for problem in found[:_SHOWN]]
            lines.append(f"{file}.jsonl: {len(found) - _SHOWN} more lines like these, up to line {found[-1].line}")
    return lines


def _counted(count: int) -> str:
    return f"{count or 'no'} problem{'' if count == 1 else 's'}"


def _table(title: str, *columns: tuple[str, bool]) -> "Table":
    from rich import box
    from rich.table import Table

    table = Table(title=title, title_justify="left", title_style="bold", box=box.SIMPLE, pad_edge=False)
    for name, is_number in columns:
        table.add_column(name, justify="right" if is_number else "left", no_wrap=is_number)
    return table


def _shares_table(balances: Sequence[CaseBalance]) -> "Table":
    """Return a table with a row per slice value and a column per file; a yes-or-no slice has one row, which counts yes."""
    table = _table("Balance", ("slice", False), *((balance.file, True) for balance in balances), ("required", False))
    shares = {(b.file, share.slice, share.value): share for b in balances for share in b.shares}
    before = ""
    for name, value in dict.fromkeys(key[1:] for key in shares if key[2] is not False):
        found = [shares.get((balance.file, name, value)) for balance in balances]
        asked = [
            f"{balance.file} {share.asked}{'' if share.kept else ': MISSED'}"
            for balance, share in zip(balances, found, strict=True)
            if share is not None and share.asked
        ]
        if before and before != name and value is not True:
            table.add_section()
        before = name
        table.add_row(
            name if value is True else f"{name} = {value}",
            *(f"{share.count:>4} {share.share:>6.1%}" if share else "-" for share in found),
            "; ".join(asked),
        )
    return table


def _spreads_table(balances: Sequence[CaseBalance]) -> "Table":
    table = _table("Lengths", ("file", False), ("of", False), ("n", True), ("mean", True), ("min", True), ("max", True))
    for balance in balances:
        for spread in balance.spreads:
            figures = (f"{spread.mean:,.1f}", f"{spread.smallest:,}", f"{spread.largest:,}")
            table.add_row(balance.file, spread.name, str(spread.n), *figures)
    return table


def _calibration_table(found: CalibrationFindings) -> "Table":
    table = _table(f"{CALIBRATION}: {found.rows} rows", ("rows", False), ("value", True), ("note", False))
    for label, count in sorted(found.labels.items()):
        table.add_row(label, str(count), "")
    for kind, count in sorted(found.kinds.items()):
        table.add_row(f"bad: {kind}", str(count), "")
    for separation in found.separations:
        auc = separation.auc
        table.add_row(
            f"AUC, word overlap with {separation.source}",
            f"{auc.value:.3f}",
            f"95% {auc.low:.3f} to {auc.high:.3f}, {auc.n} pairs; allowed {OVERLAP_AUC[0]} to {OVERLAP_AUC[1]}",
        )
    return table
