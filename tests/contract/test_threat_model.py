"""The threat model's list of what somebody with the shared table can do is closed: each subject has a row."""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_every_subject_of_the_shared_table_has_a_row_in_the_threat_model():
    rights = (ROOT / "infra" / "cdk" / "stacks" / "rights.py").read_text(encoding="utf-8")
    granted = " ".join(re.findall(r"may\.shared\(([^)]*)\)", rights))
    # Every change is announced under `changes`; `production-change` is of whoever releases or deploys, which is no workload.
    subjects = {subject.split("/")[0] for subject in re.findall(r'"([^"]+)"', granted)} | {
        "changes",
        "production-change",
    }
    page = (ROOT / "docs" / "security" / "threat-model.md").read_text(encoding="utf-8")
    table = page.split("| subject | who may write it |")[1].split("\n\n")[0]
    first_cells = [row.split("|")[1] for row in table.splitlines() if row.startswith("| `")]
    assert set(re.findall(r"`([^`]+)`", " ".join(first_cells))) == subjects
