"""What `omni doctor --release` says of the last drill."""

import json
from datetime import UTC, datetime

import pytest
from drills import result_of

from service.operate.doctor.drill import check_drill

NOW = datetime(2026, 11, 24, 6, tzinfo=UTC)
GOOD = {
    "at": "2026-11-24T03:40:00Z",
    "commit": "0123456789ab",
    "minutes": 38.4,
    "passed": 512,
    "failed": [],
    "skipped": 3,
}


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({}, ""),
        ({"failed": ["tests/a.py::test_b"]}, "failed: tests/a.py::test_b"),
        ({"at": "2026-11-20T03:40:00Z"}, "it is 4 days old"),
        ({"minutes": "long"}, "docs/drill.json: 1 validation error for DrillResult"),
        (None, "docs/drill.json is not there: it has never run"),
    ],
)
def test_a_drill_that_is_missing_old_or_failed_is_a_problem(tmp_path, changes, problem):
    (tmp_path / "docs").mkdir()
    if changes is not None:
        (tmp_path / "docs" / "drill.json").write_text(json.dumps(GOOD | changes), encoding="utf-8")
    assert check_drill(tmp_path, now=NOW).problem == problem


def test_date_commit_counts_and_minutes_are_shown(tmp_path):
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "drill.json").write_text(json.dumps(GOOD), encoding="utf-8")
    said = "drill of 2026-11-24 on 012345678: 512 passed, 0 failed, 3 skipped in 38 minutes"
    assert check_drill(tmp_path, now=NOW).part == said


def test_what_a_run_writes_is_what_the_doctor_reads(tmp_path):
    (tmp_path / "docs").mkdir()
    written = result_of(
        {"passed": ["a"] * 7, "failed": ["tests/x.py::test_y"], "error": ["tests/x.py::test_y"]}, seconds=90.0
    )
    (tmp_path / "docs" / "drill.json").write_text(json.dumps(written), encoding="utf-8")
    found = check_drill(tmp_path)
    assert found.problem == "failed: tests/x.py::test_y"
    assert ": 7 passed, 1 failed, 0 skipped in 2 minutes" in found.part
