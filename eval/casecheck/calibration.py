"""Checks a judge's calibration rows: labels, planted defects, good twins, and that word overlap does not reveal the label."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from eval.casecheck.case import carried_by, full_numbers
from eval.casecheck.files import CaseLine, CaseProblem
from eval.labels.claims.labels import FORBIDDEN, ClaimRow, read_claim
from eval.spine.case_rules import CalibrationRules
from eval.spine.cases import Case, numbered_lines
from eval.spine.errors import CaseError
from figures.stats import Interval, percentile_interval, resample_weights
from service.core.statements.grounding.text import fold

# Allowed AUC of word overlap: a judge that only counts shared words must not separate good from bad rows (0.5 is chance).
OVERLAP_AUC = (0.4, 0.6)
_SEED = 20261121


class LabelledRow(BaseModel):
    """A labelled output for a case; a bad one has one planted defect of a ``kind`` at ``span``, and a good twin ``pair_id``.

    Where the suite states no rules for the rows, a bad one may say ``why`` in place of a span, and may have no twin.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str = Field(pattern=r"^[A-Za-z0-9_.-]{3,80}$")
    case_id: str
    summary: str = Field(min_length=1)
    label: Literal["good", "bad"]
    kind: str | None
    span: str | None
    pair_id: str | None
    why: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Separation:
    """How well word overlap with ``source`` separates good from bad rows: the AUC with its interval over pairs of twins."""

    source: str
    auc: Interval


@dataclass(frozen=True, slots=True, kw_only=True)
class CalibrationFindings:
    """The result of the check: problems, rows per label and kind, and the separations."""

    problems: tuple[CaseProblem, ...]
    rows: int
    labels: Mapping[str, int]
    kinds: Mapping[str, int]
    separations: tuple[Separation, ...]


def check_calibration(path: Path, lines: Sequence[CaseLine], rules: CalibrationRules | None) -> CalibrationFindings:
    """Check the labelled rows of ``path`` against the cases they summarise."""
    problems: list[CaseProblem] = []
    rows: list[tuple[int, LabelledRow]] = []
    for number, text in numbered_lines(path):
        try:
            rows.append((number, LabelledRow.model_validate_json(text)))
        except ValidationError as err:
            first = err.errors(include_url=False)[0]
            field = ".".join(str(part) for part in first["loc"]) or "the object"
            problems.append(
                CaseProblem(file=path.stem, line=number, text=f"field {field!r}: {first['msg']}; mend the line")
            )
    # Every repeated id is reported; the first row with the id is kept.
    by_id: dict[str, LabelledRow] = {}
    cases = {line.case.id: line for line in lines}
    allowed = {line.case.id for line in lines if rules is None or line.file == rules.cases_of}
    for number, row in rows:
        if by_id.setdefault(row.id, row) is not row:
            problems.append(
                CaseProblem(file=path.stem, line=number, id=row.id, text="the id occurs twice; give each row its own")
            )
    for number, row in rows:
        texts = _row_texts(row, by_id, rules)
        if row.case_id not in allowed:
            where = "" if rules is None else f" of {rules.cases_of}.jsonl"
            texts.append(f"case_id {row.case_id!r} is not a case{where}; name one")
        elif row.label == "good":
            texts += _good_texts(row, cases[row.case_id])
        problems += [CaseProblem(file=path.stem, line=number, id=row.id, text=text) for text in texts]
    labels: Counter[str] = Counter(row.label for _, row in rows)
    kinds = Counter(row.kind for _, row in rows if row.kind is not None)
    texts = _count_texts(labels, kinds, rules) if rules is not None else []
    separations = _separations(by_id, cases)
    for found in separations if rules is not None else ():  # else shown: the data card says what it means there
        if not OVERLAP_AUC[0] <= found.auc.value <= OVERLAP_AUC[1]:
            texts.append(
                f"word overlap with {found.source} separates good from bad (AUC {found.auc.value:.2f}, allowed "
                f"{OVERLAP_AUC[0]} to {OVERLAP_AUC[1]}); a judge could pass by counting words: reword rows until it cannot"
            )
    problems += [CaseProblem(file=path.stem, text=text) for text in texts]
    return CalibrationFindings(
        problems=tuple(problems), rows=len(rows), labels=labels, kinds=kinds, separations=separations
    )


def _row_texts(row: LabelledRow, by_id: Mapping[str, LabelledRow], rules: CalibrationRules | None) -> list[str]:
    if row.label == "good":
        if (row.kind, row.span, row.pair_id) != (None, None, None):
            return ["a good row has no kind, span or pair_id; set them to null"]
        return []
    texts = []
    if rules is not None and row.kind not in rules.kinds:
        texts.append(f"kind {row.kind!r} is not one of {', '.join(rules.kinds)}")
    told = rules is None and row.span is None and bool(row.why)
    if not told and (not row.span or row.span not in row.summary):
        texts.append(f"span {row.span!r} does not occur in the bad summary; copy it letter by letter")
    if told and row.pair_id is None:
        return texts
    twin = by_id.get(row.pair_id or "")
    if twin is None or twin.label != "good" or twin.case_id != row.case_id:
        return [*texts, f"pair_id {row.pair_id!r} is not a good row of the same case; name its good twin"]
    if row.span and row.span in twin.summary:
        remedy = "narrow it to the defect"
        if rules is not None and row.kind in rules.omissions:
            remedy = "for an omission, take the words before and after the gap"
        texts.append(f"span {row.span!r} occurs in the good twin {twin.id} too; {remedy}")
    return texts


def _good_texts(row: LabelledRow, line: CaseLine) -> list[str]:
    texts = [
        f"a good summary matches forbidden claim {claim.claim!r} of {line.case.id} by {form!r}; change the summary or the form"
        for claim in line.case.expectations.forbidden
        if (form := carried_by(claim.accepted, row.summary)) is not None
    ]
    if fold(row.summary) in {fold(reference) for reference in line.case.expectations.references}:
        texts.append(f"a good summary equals the reference of {line.case.id}; write another")
    texts += [
        f"a good summary prints a full number that ends in {found[-4:]}; mask it" for found in full_numbers(row.summary)
    ]
    return texts


def _count_texts(labels: Mapping[str, int], kinds: Mapping[str, int], rules: CalibrationRules) -> list[str]:
    texts = [
        f"{labels.get(label, 0)} {label} rows; {rules.rows_per_label} are required"
        for label in ("good", "bad")
        if labels.get(label, 0) != rules.rows_per_label
    ]
    texts += [
        f"{kinds.get(kind, 0)} rows of kind {kind!r}; {rules.rows_per_kind} are required"
        for kind in rules.kinds
        if kinds.get(kind, 0) != rules.rows_per_kind
    ]
    return texts


def unigram_f1(first: str, second: str) -> float:
    """Return the ROUGE-1 F score (Lin 2004) of two texts over folded words, 0 to 1; 0 when one is empty."""
    one, other = Counter(fold(first).split()), Counter(fold(second).split())
    total = one.total() + other.total()
    return 2 * (one & other).total() / total if one and other else 0.0


def _separations(rows: Mapping[str, LabelledRow], cases: Mapping[str, CaseLine]) -> tuple[Separation, ...]:
    pairs = []
    for row in rows.values():
        twin = rows.get(row.pair_id or "")
        if twin is not None and twin.case_id == row.case_id and row.case_id in cases:
            pairs.append((twin, row))
    if not pairs:
        return ()
    found = []
    for source, texts_of in (("the interactions", _passage_words), ("the references", _references)):
        scores = np.array(
            [
                [
                    max((unigram_f1(row.summary, text) for text in texts_of(cases[row.case_id])), default=0.0)
                    for row in pair
                ]
                for pair in pairs
            ]
        )
        found.append(Separation(source=source, auc=paired_auc(scores[:, 0], scores[:, 1])))
    return tuple(found)


def _passage_words(line: CaseLine) -> list[str]:
    return [passage.text for passage in line.passages]


def _references(line: CaseLine) -> tuple[str, ...]:
    return line.case.expectations.references


def paired_auc(good: NDArray[np.float64], bad: NDArray[np.float64]) -> Interval:
    """Return the probability that a good row scores above a bad one (ties count half), with a bootstrap interval over twins.

    Args:
        good: ``(n_pairs,)`` scores of the good twins.
        bad: ``(n_pairs,)`` scores of their bad twins, in the same order.
    """
    wins = (good[:, None] > bad[None, :]) + 0.5 * (good[:, None] == bad[None, :])
    drawn = resample_weights(len(good), _SEED)
    draws = ((drawn @ wins) * drawn).sum(axis=1) / len(good) ** 2
    return percentile_interval(float(wins.mean()), draws, len(good))


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
