"""The review of proposals in the terminal: one after the other, each decision saved at once."""

import os
import re
import shlex
import subprocess
import tempfile
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError
from rich.panel import Panel

from eval.casecheck.case import case_problems, full_numbers
from eval.casecheck.check import CARD, SHOWN
from eval.casecheck.files import CaseLine
from eval.casecheck.overlap import copied_passages, copied_references
from eval.harvest.proposal import Decision, Proposal, replaced, write_proposals
from eval.harvest.propose import REGRESSION, HarvestContext
from eval.spine.case_rules import string_passages
from eval.spine.cases import Case, cases_digest, numbered_lines, parse_case
from service.kit.frame.files import write_whole
from service.kit.frame.strict import NotStrict, parse_yaml

if TYPE_CHECKING:
    from rich.console import Console


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


KEYS = "a accept   e edit   d drop   s skip   q quit"


def review(path: Path, context: HarvestContext, console: "Console", ask: Callable[[str], str]) -> Counter[str]:
    """Show the open proposals of ``path``, carry out the person's decisions, and count accepted, dropped and skipped ones.

    Raises:
        HarvestError: a line of the file is not a proposal.
    """
    counts: Counter[str] = Counter()
    for proposal in [item for item in context.proposals(path) if item.decision == "open"]:
        left = sum(item.decision == "open" for item in context.proposals(path)) - counts["skipped"]
        while True:
            _show(proposal, context, console, left)
            key = ask(KEYS).strip().lower()[:1]
            if key == "q":
                return counts
            if key == "s":
                counts["skipped"] += 1
                break
            if key == "d":
                _keep(path, context, proposal, "drop")
                counts["dropped"] += 1
                break
            if key == "e":
                proposal = _edited(proposal, context, console)
                _keep(path, context, proposal, "open")
            if key == "a":
                problems = problems_of(proposal, context, context.sets())
                if not problems:
                    accept(proposal.case, context)
                    _keep(path, context, proposal, "done")
                    counts["accepted"] += 1
                    break
                console.print("not accepted:", *(f"\n  {problem}" for problem in problems), style="bold")
    return counts


def apply(path: Path, context: HarvestContext) -> tuple[list[str], list[str]]:
    """Accept every proposal whose line has ``"decision": "accept"``.

    Returns:
        The accepted ids, and for each refused proposal its id with its problems.

    Raises:
        HarvestError: a line of the file is not a proposal.
    """
    accepted, refused = [], []
    for proposal in context.proposals(path):
        if proposal.decision != "accept":
            continue
        problems = problems_of(proposal, context, context.sets())
        if problems:
            refused.append(f"{proposal.id}: " + "; ".join(problems))
            continue
        accept(proposal.case, context)
        _keep(path, context, proposal, "done")
        accepted.append(proposal.id)
    return accepted, refused


def _keep(path: Path, context: HarvestContext, proposal: Proposal, decision: Decision) -> None:
    # Read the file again, because a person may have edited it in the meantime.
    decided = proposal.model_copy(update={"decision": decision})
    write_proposals(path, replaced(context.proposals(path), decided))


def _show(proposal: Proposal, context: HarvestContext, console: "Console", left: int) -> None:
    said, case = proposal.provenance, proposal.case
    console.rule(f"{case.id} ({left} open)")
    console.print(
        f"{said.reason} in {said.week}; pair {said.pair} {said.prompt_version}, answered by {said.answered_by}"
    )
    for passage in context.rules.passages(context.case_model.model_validate(case.inputs)):
        when = f"{passage.at:%b %d %H:%M}" if passage.at else ""
        console.print(Panel(passage.text, title=f"{passage.id} {when}", title_align="left"))
    console.print(Panel(proposal.shown, title=f"{context.source.output} shown to the agent", title_align="left"))
    if proposal.said_reason:
        console.print(Panel(proposal.said_reason, title="the agent's reason", title_align="left"))
    if proposal.comment:
        console.print(Panel(proposal.comment, title="the agent's comment", title_align="left"))
    title = "draft" if context.source.drafts_inputs else "expectations (draft)"
    console.print(Panel(_editable(case, context), title=title, title_align="left"))


def _edited(proposal: Proposal, context: HarvestContext, console: "Console") -> Proposal:
    editor = shlex.split(os.environ.get("VISUAL") or os.environ.get("EDITOR") or "vi")
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / f"{proposal.id}.yaml"
        file.write_text(context.source.hint + _editable(proposal.case, context), encoding="utf-8")
        try:
            subprocess.run([*editor, str(file)], check=True)
        except (OSError, subprocess.CalledProcessError) as err:
            console.print(f"the editor {editor[0]!r} failed ({type(err).__name__}): set EDITOR to one that works")
            return proposal
        text = file.read_text(encoding="utf-8")
    try:
        _, given = parse_yaml(text)
        return proposal if given is None else proposal.model_copy(update={"case": _read(given, proposal.case, context)})
    except (NotStrict, ValidationError) as err:
        console.print(f"not saved, what you wrote is not valid: {str(err).splitlines()[0]}")
        return proposal


def _editable(case: Case, context: HarvestContext) -> str:
    if not context.source.drafts_inputs:
        return _yaml(case.expectations.model_dump(mode="json"))
    both = {"inputs": case.inputs, "expectations": case.expectations.model_dump(mode="json", exclude_defaults=True)}
    return _yaml(both)


def _read(given: object, case: Case, context: HarvestContext) -> Case:
    labels = context.rules.expectations
    if not context.source.drafts_inputs:
        return case.model_copy(update={"expectations": labels.model_validate(given)})
    both = _Edited.model_validate(given)
    inputs = context.case_model.model_validate(both.inputs).model_dump(mode="json")
    return case.model_copy(update={"inputs": inputs, "expectations": labels.model_validate(both.expectations)})


class _Edited(BaseModel):
    model_config = ConfigDict(extra="forbid")

    inputs: dict[str, Any]
    expectations: dict[str, Any]


def _yaml(content: object) -> str:
    return yaml.safe_dump(content, allow_unicode=True, sort_keys=False, width=110)
