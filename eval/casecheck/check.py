"""Runs every check over a task's folder of case files."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from pydantic import BaseModel

from eval.casecheck.balance import CaseBalance, balance_of
from eval.casecheck.calibration import CalibrationFindings, ClaimFindings, check_calibration, check_claims
from eval.casecheck.case import case_problems
from eval.casecheck.files import CALIBRATION, CaseLine, CaseProblem, case_paths, read_case_file, repeated_ids
from eval.casecheck.overlap import copied_passages, copied_references, reworded_cases
from eval.labels.claims.labels import CLAIMS
from eval.spine.case_rules import CaseRules
from eval.spine.cases import cases_digest
from eval.spine.errors import CaseError
from figures.stats import Interval, mean_interval
from service.core.run.task import Task
from service.core.statements.grounding.text import form_occurs


@dataclass(frozen=True, slots=True, kw_only=True)
class Findings:
    """The result of the check, in file order; ``digests`` are the digests of the cases that evidence names."""

    problems: tuple[CaseProblem, ...]
    balances: tuple[CaseBalance, ...]
    digests: Mapping[str, str]
    calibration: CalibrationFindings | None
    claims: ClaimFindings | None = None


def check_folder(folder: Path, task: Task[BaseModel], rules: CaseRules, *, only: str | None = None) -> Findings:
    """Check all case files of ``folder``.

    Args:
        folder: ``datasets/<task>``.
        task: gives the input model and the answers without a model.
        rules: the task's own requirements.
        only: stem of the only file to report; it is still compared with the others.

    Raises:
        CaseError: a file cannot be read, or there is no file ``only``.
    """
    paths = case_paths(folder)
    judging = [path for name in (CALIBRATION, CLAIMS) if (path := folder / f"{name}.jsonl").exists()]
    known = [path.stem for path in (*paths, *judging)]
    if only is not None and only not in known:
        raise CaseError(
            f"no dataset {only!r} in {folder}; datasets there: {', '.join(known)}. Name one with --dataset."
        )

    problems: list[CaseProblem] = []
    by_file: dict[str, list[CaseLine]] = {}
    for path in paths:
        by_file[path.stem], unreadable = read_case_file(path, task.input_model, rules)
        problems += unreadable
    lines = [line for found in by_file.values() for line in found]
    problems += repeated_ids(lines)
    for line in lines:
        ready = task.without_model(line.inputs) if rules.scenario_model is None else None
        problems += case_problems(line, ready)
    problems += copied_passages(lines) + copied_references(lines) + reworded_cases(lines)
    missing = [] if only else [file for file in rules.files if file not in by_file]
    problems += [
        CaseProblem(file=file, text=f"is missing; {rules.files[file].count} cases are required") for file in missing
    ]
    balances = [balance_of(file, found, rules.files.get(file)) for file, found in by_file.items()]
    problems += [problem for balance in balances for problem in balance.problems]
    calibration, claims, found = _judges_files(folder, lines, rules, complete=only is None)
    problems += found

    digests = {file: cases_digest(line.case for line in found) for file, found in by_file.items()}
    for path in judging:
        digests[path.stem] = hashlib.sha256(path.read_bytes()).hexdigest()
    problems += card_problems(folder, {file: digest for file, digest in digests.items() if by_file.get(file) != []})

    order = {name: number for number, name in enumerate(known)}
    problems.sort(key=lambda problem: (order.get(problem.file, len(order)), problem.line))
    return Findings(
        problems=tuple(problem for problem in problems if only is None or problem.concerns(only)),
        balances=tuple(balance for balance in balances if only in (None, balance.file)),
        digests=digests,
        calibration=calibration if only in (None, CALIBRATION) else None,
        claims=claims if only in (None, CLAIMS) else None,
    )


def _judges_files(
    folder: Path, lines: Sequence[CaseLine], rules: CaseRules, *, complete: bool
) -> tuple[CalibrationFindings | None, ClaimFindings | None, list[CaseProblem]]:
    """Check the files that judges use; with ``complete`` a required file that is missing is a problem."""
    calibration, claims, problems = None, None, list[CaseProblem]()
    path = folder / f"{CALIBRATION}.jsonl"
    if path.exists():
        calibration = check_calibration(path, lines, rules.calibration)
        problems += calibration.problems
    elif rules.calibration is not None and complete:
        problems.append(CaseProblem(file=CALIBRATION, text="is missing; the judge cannot be calibrated"))
    path = folder / f"{CLAIMS}.jsonl"
    if path.exists():
        claims = check_claims(path, lines, rules.claims_of)
        problems += claims.problems
    elif rules.claims_of and complete:
        text = "is missing; the claims judge cannot be asked"
        problems.append(CaseProblem(file=CLAIMS, text=text))
    return calibration, claims, problems


def measure_specificity(
    folder: Path, task: Task[BaseModel], rules: CaseRules, *, only: str | None = None
) -> dict[str, Interval]:
    """Return ``false_match_rate`` by the stem of each case file of ``folder`` for which it is defined."""
    found = {}
    for path in case_paths(folder):
        if only in (None, path.stem):
            lines, _ = read_case_file(path, task.input_model, rules)
            rate = false_match_rate(lines)
            if rate is not None:
                found[path.stem] = rate
    return found


CARD = "README.md"
SHOWN = 12  # characters of a digest that are shown, as in all reports


def card_problems(folder: Path, digests: Mapping[str, str]) -> list[CaseProblem]:
    """Return a problem for each file whose row in the card's table lacks the file's digest; none without a card.

    Args:
        folder: ``datasets/<task>``.
        digests: file stem -> SHA-256 of its cases.
    """
    card = folder / CARD
    if not card.exists():
        return []
    lines = card.read_text(encoding="utf-8").splitlines()
    problems = []
    for file, digest in digests.items():
        row = next((line for line in lines if line.startswith(f"| `{file}.jsonl` |")), None)
        if row is None:
            text = f"has no row in the table of {CARD}; add one: | `{file}.jsonl` | cases | `{digest[:SHOWN]}` | what it is for |"
        elif f"`{digest[:SHOWN]}`" not in row:
            text = (
                f"has digest {digest[:SHOWN]}, but its row in {CARD} has another: bump the card's version, describe the "
                "change in its changelog, and write the digest into the row"
            )
        else:
            continue
        problems.append(CaseProblem(file=file, text=text))
    return problems


_SEED = 20261121


def false_match_rate(lines: Sequence[CaseLine]) -> Interval | None:
    """Return the share of other cases' first references in which a fact is found, averaged over facts.

    Such a match is false, because the reference is about another customer: the two share a common word or a date. The interval
    is a bootstrap over cases, because the facts of a case are not independent. None with fewer than two cases that have both
    facts and references. Takes seconds for a few hundred cases.
    """
    usable = [line for line in lines if line.case.expectations.facts and line.case.expectations.references]
    if len(usable) < 2:
        return None
    references = [line.case.expectations.references[0] for line in usable]
    per_case = []
    for number, line in enumerate(usable):
        others = references[:number] + references[number + 1 :]
        facts = line.case.expectations.facts
        found = sum(any(form_occurs(form, text) for form in fact.accepted) for fact in facts for text in others)
        per_case.append(found / (len(facts) * len(others)))
    return mean_interval(np.array(per_case), seed=_SEED)
