"""The table of a rehearsal: one row per change, written as each is done, because several processes may share the tests."""

import json

from figures.files import write_whole
from service.kit.settings import REPO_ROOT

FOLDER = REPO_ROOT / "reports" / "out" / "rehearsal"


def write_row(number, change, expected, job):
    """Keep a row, and write the table of all rows so far to reports/out/rehearsal/table.md."""
    got = "does not run" if not job.ran else "red" if job.red else "green"
    if "Verdict: neutral" in job.said:
        got = "neutral"
    row = {
        "number": number, "change": change, "expected": expected, "got": got, "seconds": round(job.seconds, 1),
        "instead": sorted({step.stand_in for step in job.steps if step.stand_in}),
    }  # fmt: skip
    FOLDER.mkdir(parents=True, exist_ok=True)
    write_whole(FOLDER / f"{number:02}.json", json.dumps(row))
    rows = sorted((json.loads(path.read_text()) for path in FOLDER.glob("*.json")), key=lambda row: row["number"])
    lines = ["| change | expected | got | seconds |", "|---|---|---|---|"]
    lines += [f"| {row['change']} | {row['expected']} | {row['got']} | {row['seconds']} |" for row in rows]
    stand_ins = sorted({name for row in rows for name in row["instead"]})
    lines += ["", "In place of steps:", "", *(f"- {name}" for name in stand_ins)]
    write_whole(FOLDER / "table.md", "\n".join(lines) + "\n")
