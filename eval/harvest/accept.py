"""Adds accepted proposals to ``regression.jsonl`` and updates the set's row in the data card."""

import re
from collections.abc import Sequence
from pathlib import Path

from eval.casecheck.card import CARD, SHOWN
from eval.casecheck.case import case_problems, full_numbers
from eval.casecheck.files import CaseLine
from eval.casecheck.overlap import copied_passages, copied_references
from eval.harvest.proposal import Proposal
from eval.harvest.propose import REGRESSION, HarvestContext
from eval.spine.case_rules import string_passages
from eval.spine.cases import Case, cases_digest, numbered_lines, parse_case
from service.kit.frame.files import write_whole

_PURPOSE = "cases harvested from feedback, each accepted by a person; all must pass, see `eval/verdict/must_pass.py`"
_ROW = re.compile(rf"^\| `{REGRESSION}\.jsonl` \|.*$", re.MULTILINE)
_LAST_SET = re.compile(r"^\| `(?:challenge|gate|dev)\.jsonl` \|.*$", re.MULTILINE)


def problems_of(proposal: Proposal, context: HarvestContext, sets: Sequence[CaseLine]) -> list[str]:
    """Return the problems that keep a proposal from being a regression case, each with what to do."""
    problems = context.source.missing(proposal.case)
    line = context.line(proposal.case, file=REGRESSION, number=len(sets) + 1)
    ready = context.task.without_model(line.inputs) if context.rules.scenario_model is None else None
    problems += [problem.text for problem in case_problems(line, ready)]
    for problem in (*copied_passages([*sets, line]), *copied_references([*sets, line])):
        if problem.file == line.file and problem.line == line.line:
            problems.append(problem.text)
    shown = [*line.passages, *string_passages(proposal.case.expectations)]
    if context.rules.scenario_model is not None:  # a person wrote all of it, and no part is a pseudonym
        shown += string_passages(line.inputs)
    if any(full_numbers(passage.text) for passage in shown):
        problems.append("prints a full number of nine digits or more: mask it")
    return problems


def accept(case: Case, context: HarvestContext) -> Path:
    """Append ``case`` to the task's ``regression.jsonl`` unless it is there already, update the card, and return the file.

    Raises:
        CaseError: the file holds a line that is not a case.
    """
    path = context.folder / f"{REGRESSION}.jsonl"
    lines = numbered_lines(path) if path.exists() else []
    read = (context.case_model, context.rules.expectations)
    known = [parse_case(line, f"{path}:{number}", *read)[0] for number, line in lines]
    if case.id not in {item.id for item in known}:
        known.append(case)
        write_whole(path, "".join(f"{item.model_dump_json(exclude_defaults=False)}\n" for item in known))
    count_in_card(context.folder, known)
    return path


def count_in_card(folder: Path, cases: Sequence[Case]) -> None:
    """Write number and digest of the regression cases into the data card's table; without card or table, do nothing."""
    card = folder / CARD
    if not card.exists():
        return
    text = card.read_text(encoding="utf-8")
    row = f"| `{REGRESSION}.jsonl` | {len(cases)} cases | `{cases_digest(cases)[:SHOWN]}` | {_PURPOSE} |"
    if _ROW.search(text):
        new = _ROW.sub(row.replace("\\", r"\\"), text, count=1)
    else:
        last = list(_LAST_SET.finditer(text))
        if not last:
            return
        new = f"{text[: last[-1].end()]}\n{row}{text[last[-1].end() :]}"
    if new != text:
        write_whole(card, new)
