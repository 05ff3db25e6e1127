"""Checks a judge's calibration rows: labels, planted defects, good twins, and that word overlap does not reveal the label."""

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
from eval.spine.case_rules import CalibrationRules
from eval.spine.cases import numbered_lines
from figures.stats import Interval, percentile_interval, resample_weights
from service.core.statements.grounding.text import fold

# Allowed AUC of word overlap: a judge that only counts shared words must not separate good from bad rows (0.5 is chance).
OVERLAP_AUC = (0.4, 0.6)
_SEED = 20261121


class LabelledRow(BaseModel):
    """A labelled output for a case; a bad one has one planted defect of a ``kind`` at ``span``, and a good twin ``pair_id``."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str = Field(pattern=r"^[A-Za-z0-9_.-]{3,80}$")
    case_id: str
    summary: str = Field(min_length=1)
    label: Literal["good", "bad"]
    kind: str | None
    span: str | None
    pair_id: str | None


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
                CaseProblem(file=path.stem, line=number, id="", text=f"field {field!r}: {first['msg']}; mend the line")
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
    for found in separations:
        if not OVERLAP_AUC[0] <= found.auc.value <= OVERLAP_AUC[1]:
            texts.append(
                f"word overlap with {found.source} separates good from bad (AUC {found.auc.value:.2f}, allowed "
                f"{OVERLAP_AUC[0]} to {OVERLAP_AUC[1]}); a judge could pass by counting words: reword rows until it cannot"
            )
    problems += [CaseProblem(file=path.stem, line=0, id="", text=text) for text in texts]
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
    if not row.span or row.span not in row.summary:
        texts.append(f"span {row.span!r} does not occur in the bad summary; copy it letter by letter")
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
