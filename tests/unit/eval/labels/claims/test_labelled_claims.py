"""Labelled claims: strict reading with file and line, and the check against the cases that they label."""

import json

import pytest

from eval.casecheck.calibration import check_claims
from eval.casecheck.files import CaseLine
from eval.labels.claims.labels import claims_digest, load_claims
from eval.spine.case_rules import CaseRules
from eval.spine.cases import Case, Expectations, Fact, Forbidden
from eval.spine.errors import CaseError
from service.kit.settings import Settings

FACT = {
    "id": "case-1/f1",
    "case_id": "case-1",
    "source": "fact",
    "number": 1,
    "statement": "The company promised the customer a refund of $20 by May 3.",
    "predicate": "was promised a refund",
    "subject_role": "company",
    "object": "refund",
    "polarity": "affirmed",
    "modality": "promised",
    "direction": "to_customer",
    "amount": "20.00",
    "currency": "USD",
    "unit": None,
    "due": "2026-05-03",
    "critical": False,
    "contrasts": {
        "modality": "The company paid the customer a refund of $20 by May 3.",
        "polarity": "The company refused the customer a refund of $20.",
    },
}
FALSE = FACT | {
    "id": "case-1/x1",
    "source": "forbidden",
    "contrasts": {"forbidden": "The refund has arrived."},
}


def written(tmp_path, *rows):
    folder = tmp_path / "shout"
    folder.mkdir(exist_ok=True)
    (folder / "claims.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return folder / "claims.jsonl"


def test_rows_are_read_by_case_with_their_lines_and_a_digest(tmp_path):
    written(tmp_path, FACT, FALSE)
    found = load_claims(tmp_path, "shout")
    assert [row.id for row in found.by_case["case-1"]] == ["case-1/f1", "case-1/x1"]
    assert found.lines == {"case-1/f1": 1, "case-1/x1": 2}
    before = found.digest
    written(tmp_path, FACT)
    assert claims_digest(tmp_path, "shout") not in (before, None)


def test_a_task_without_claims_says_what_to_write(tmp_path):
    assert claims_digest(tmp_path, "shout") is None
    with pytest.raises(CaseError, match=r"task 'shout' has no labelled claims; write .*claims\.jsonl first"):
        load_claims(tmp_path, "shout")


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"amount": "8.0.3"}, "amount"),
        ({"due": "next Friday"}, "due"),
        ({"currency": "dollars"}, "currency"),
        ({"modality": "hoped"}, "modality"),
        ({"contrasts": {"tone": "x"}}, "contrasts.tone"),
        ({"contrasts": {}}, "contrasts"),
        ({"contrasts": {"forbidden": "The refund has arrived."}}, "which no fact has"),
        ({"number": 2}, "id must be 'case-1/f2'"),
        ({"case_id": "case-2"}, "id must be 'case-2/f1'"),
        ({"surprise": 1}, "surprise"),
    ],
)
def test_a_wrong_row_is_named_with_file_line_and_field(tmp_path, changes, says):
    path = written(tmp_path, FALSE, FACT | changes)
    with pytest.raises(CaseError) as err:
        load_claims(tmp_path, "shout")
    assert str(err.value).startswith(f"{path}:2: ")
    assert says in str(err.value)


def test_a_claim_is_labelled_once(tmp_path):
    path = written(tmp_path, FACT, FACT)
    with pytest.raises(CaseError, match=rf"{path}:2: id 'case-1/f1' stands in line 1 too"):
        load_claims(tmp_path, "shout")


def lines(*, forbidden=1):
    fact = Fact(statement="a refund was promised", accepted=("refund",), interaction_id="i1", span="refund")
    false = Forbidden(claim="the refund has arrived", accepted=("arrived",))
    case = Case(
        id="case-1",
        inputs={},
        expectations=Expectations(facts=(fact,), forbidden=(false,) * forbidden),
    )
    return [CaseLine(file="dev", line=1, case=case, inputs=Settings(), rules=CaseRules())]


def texts(tmp_path, *rows, files=("dev",), **cases):
    found = check_claims(written(tmp_path, *rows), lines(**cases), files)
    return [str(problem) for problem in found.problems]


def test_complete_labels_have_no_problem_and_are_counted(tmp_path):
    found = check_claims(written(tmp_path, FACT, FALSE | {"critical": True}), lines(), ("dev",))
    assert (found.problems, found.rows, found.critical, found.contrasts) == ((), 2, 1, 3)


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        ([FACT], "case-1: has no labelled claim case-1/x1; add a row for each"),
        ([FACT, FALSE, FACT], "claims.jsonl:3 case-1/f1: the id occurs twice"),
        ([FACT, FALSE, FACT | {"id": "case-1/f2", "number": 2}], "case 'case-1' has no fact number 2"),
        ([FACT, FALSE, FACT | {"id": "other/f1", "case_id": "other"}], "no case 'other' in any file"),
        ([FACT | {"contrasts": {"role": FACT["statement"].upper()}}, FALSE], "contrast 'role' equals the statement"),
        ([FACT | {"contrasts": {"role": "Nobody knows."}}, FALSE], "0.2 times as long as the statement"),
        (
            [FACT | {"contrasts": {"role": "Nobody knows what happened to any money there"}}, FALSE],
            "shares no word with the statement",
        ),
        (
            [FACT | {"contrasts": FACT["contrasts"] | {"role": FACT["contrasts"]["polarity"]}}, FALSE],
            "two contrasts are equal",
        ),
        ([FACT | {"critical": True}, FALSE], "differ on whether the fact is critical"),
        ([FACT, FALSE, "no row"], "claims.jsonl:3: the line"),
    ],
)
def test_faults_are_named(tmp_path, rows, says):
    (problem,) = texts(tmp_path, *rows)
    assert says in problem


def test_only_declared_files_must_be_labelled(tmp_path):
    assert texts(tmp_path, FACT, files=()) == []
