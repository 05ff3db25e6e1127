"""The table for MLflow's compare view: one row per case, bounded, and no text that ``cases.json`` does not hold."""

import json
from dataclasses import replace
from pathlib import Path

from tiny_evaluation import CASES, answer, tiny_evaluation

from eval.release import evidence as module
from eval.release.evidence import LONGEST_TEXT, MOST_ROWS, compared_table, run_log
from eval.spine.cases import Dataset
from eval.tracking.store import CASES_FILE, COMPARED_FILE
from service.kit.frame.errors import FailureCode

DATASET = Dataset(name="tiny", cases=tuple(CASES.values()), source="tiny.jsonl")


def rows_of(text):
    table = json.loads(text)
    return [dict(zip(table["columns"], row, strict=True)) for row in table["data"]]


def pair_with(*results):
    return replace(tiny_evaluation().pairs[0], cases=results)


def test_it_begins_with_the_case_and_holds_its_slices_output_and_scores():
    failed = answer(1, failure=FailureCode.OUTPUT_INVALID)
    first, second = rows_of(compared_table(pair_with(answer(0, bad=True), failed), DATASET))
    assert list(first)[:3] == ["case_id", "family", "output"]  # the view groups by the first column and shows `output`
    assert (first["case_id"], first["family"], first["grounded"], first["cost_usd"]) == (
        *("tiny-00", "billing", 0),
        "0.0000756",
    )
    assert "$450" in first["findings"]
    assert (second["failure"], second["output"], second["grounded"]) == ("OUTPUT_INVALID", "", None)


def test_a_case_has_one_row_whatever_the_repeats_and_the_backup():
    again, backup = replace(answer(0, bad=True), repeat=1), replace(answer(0, bad=True), arm="backup")
    (row,) = rows_of(compared_table(pair_with(backup, again, answer(0)), DATASET))
    assert row["grounded"] == 1


def test_rows_and_texts_are_bounded_and_the_same_cases_are_shown_for_every_pair(monkeypatch):
    monkeypatch.setattr(module, "MOST_ROWS", 5)
    long = answer(0)
    long = replace(long, result=replace(long.result, output="x" * (LONGEST_TEXT + 1)))
    one = rows_of(compared_table(pair_with(long, *map(answer, range(1, 12))), DATASET))
    other = rows_of(compared_table(pair_with(*map(answer, reversed(range(12)))), DATASET))
    assert [row["case_id"] for row in one] == [row["case_id"] for row in other]
    assert len(one) == 5
    assert max(len(row["output"]) for row in one) == LONGEST_TEXT
    assert MOST_ROWS == 1_000


def test_its_texts_are_those_of_the_evidence_and_no_inputs():
    evaluation = tiny_evaluation()
    log = run_log(evaluation, evaluation.pairs[1], DATASET, Path("report.html"))
    text = log.texts[COMPARED_FILE]
    assert "My bill is" not in text
    assert {row["output"] for row in rows_of(text)} <= {row["output"] for row in log.table}
    assert CASES_FILE not in log.texts


def test_a_pair_without_answers_has_none():
    assert compared_table(pair_with(), DATASET) is None
