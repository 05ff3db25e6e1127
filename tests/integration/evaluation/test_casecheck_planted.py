"""The real case files are sound, and a copy of them with faults planted is not: each fault is named."""

import json
import re
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from eval.casecheck.calibration import check_calibration
from eval.casecheck.check import check_folder
from eval.casecheck.files import read_case_file
from eval.spine.errors import CaseError
from eval.suites import load_case_rules
from omni.app import build_app
from service.core.run.task import load_task

pytestmark = pytest.mark.slow
REAL = Path(__file__).resolve().parents[3] / "datasets" / "summarize"


def rows(folder, file):
    return [json.loads(line) for line in (folder / f"{file}.jsonl").read_text(encoding="utf-8").splitlines()]


class Copy:
    """A copy of the real files; each plant changes other rows, so that one run of the checker sees them all."""

    def __init__(self, folder):
        self.folder = folder
        self.files = {path.stem: rows(folder, path.stem) for path in folder.glob("*.jsonl")}

    def row(self, row_id):
        return next(
            row for found in self.files.values() for row in found if isinstance(row, dict) and row["id"] == row_id
        )

    def write(self):
        for name, found in self.files.items():
            text = "\n".join(row if isinstance(row, str) else json.dumps(row, ensure_ascii=False) for row in found)
            (self.folder / f"{name}.jsonl").write_text(text + "\n", encoding="utf-8")


def expectations(copy, row_id):
    return copy.row(row_id)["expectations"]


def first_fact(copy, row_id):
    return expectations(copy, row_id)["facts"][0]


def interactions(copy, row_id):
    return copy.row(row_id)["inputs"]["interactions"]


def rename(copy, row_id):
    """Tell another case's story again with other names, days and amounts."""
    copied = json.dumps(interactions(copy, row_id))
    copied = re.sub(r"(?<=[ .$])\d", "7", copied)
    return json.loads(re.sub(r"\b(Lorcan|Hibbing|Wes|Tamblyn|Osgood)\b", "Marek", copied))


PLANTS = {
    "not JSON": (lambda c: c.files["gate"].__setitem__(100, "{"), r"gate\.jsonl:101: not JSON"),
    "unknown field": (
        lambda c: c.row("gate-billing-02").update(note=1),
        r"gate\.jsonl:2: field 'note'",
    ),
    "id of another file": (
        lambda c: c.row("gate-billing-03").update(id="dev-billing-01"),
        r"dev-billing-01: the id is also used in dev\.jsonl:1",
    ),
    "span": (
        lambda c: first_fact(c, "gate-billing-04").update(span="not there"),
        r"gate-billing-04: .* does not occur in",
    ),
    "fact outside the window": (
        lambda c: c.row("gate-billing-05")["inputs"].update(max_history_days=1),
        r"gate-billing-05: .* lies outside the request's window",
    ),
    "reference without its fact": (
        lambda c: first_fact(c, "gate-billing-06").update(accepted=["purple elephant"]),
        r"gate-billing-06: reference 1 does not carry fact",
    ),
    "reference states a claim": (
        lambda c: expectations(c, "gate-billing-07")["forbidden"].append(
            {"claim": "planted", "accepted": [expectations(c, "gate-billing-07")["references"][0].split(".")[0]]}
        ),
        r"gate-billing-07: reference 1 matches forbidden claim 'planted'",
    ),
    "source states a claim": (
        lambda c: expectations(c, "gate-complaint-11")["forbidden"].append(
            {"claim": "planted", "accepted": [" ".join(interactions(c, "gate-complaint-11")[0]["text"].split()[:2])]}
        ),
        r"gate-complaint-11: the text of .* matches forbidden claim 'planted'",
    ),
    "fact and claim share a form": (
        lambda c: expectations(c, "gate-billing-09")["forbidden"].append(
            {"claim": "planted", "accepted": first_fact(c, "gate-billing-09")["accepted"][:1]}
        ),
        r"gate-billing-09: form .* it can be only one",
    ),
    "length": (
        lambda c: expectations(c, "gate-billing-10")["references"].__setitem__(0, "Too short."),
        r"gate-billing-10: reference 1 has 2 words; write 35 to 90",
    ),
    "no open item": (
        lambda c: expectations(c, "gate-billing-01").update(open_items=[]),
        r"gate-billing-01: resolution is 'open'",
    ),
    "full number": (
        lambda c: expectations(c, "dev-fraud-02")["references"].__setitem__(
            0, expectations(c, "dev-fraud-02")["references"][0].replace("ending 8842", "6630918842")
        ),
        r"dev-fraud-02: reference 1 prints a full number that ends in 8842",
    ),
    "interaction id twice": (
        lambda c: interactions(c, "gate-complaint-01")[1].update(
            interaction_id=interactions(c, "gate-complaint-01")[0]["interaction_id"]
        ),
        r"gate-complaint-01: i0?1 occurs twice",
    ),
    "from the future": (
        lambda c: interactions(c, "gate-complaint-02")[-1].update(timestamp="2027-01-01T00:00:00Z"),
        r"gate-complaint-02: .* after the request",
    ),
    "slice value": (
        lambda c: c.row("gate-complaint-03")["slices"].update(resolution="closed"),
        r"gate-complaint-03: slice 'resolution' is 'closed'",
    ),
    "slice against the inputs": (
        lambda c: c.row("gate-complaint-10")["slices"].update(channels="multi"),
        r"gate-complaint-10: slice 'channels' is 'multi', but the inputs make it 'single'",
    ),
    "copied interaction": (
        lambda c: interactions(c, "challenge-long-01")[0].update(text=interactions(c, "gate-deposit-12")[0]["text"]),
        r"(challenge-long-01|gate-deposit-12): \w+ has the same text as",
    ),
    "retold case": (
        lambda c: c.row("gate-storm-16")["inputs"].update(interactions=rename(c, "gate-billing-01")),
        r"gate-storm-16: tells nearly the same story as gate\.jsonl:1 gate-billing-01",
    ),
    "copied reference": (
        lambda c: expectations(c, "gate-fraud-04")["references"].__setitem__(
            1, expectations(c, "gate-fraud-04")["references"][0]
        ),
        r"gate-fraud-04: reference 2 shares 100% of its 4-grams",
    ),
    "count": (lambda c: c.files["challenge"].pop(), r"challenge\.jsonl: holds 59 valid cases; 60 are required"),
    "balance": (
        lambda c: [row["slices"].update(sparse=False) for row in c.files["gate"] if isinstance(row, dict)],
        r"gate\.jsonl: 0 of \d+ cases have sparse=True; required: at least 20",
    ),
    "twin": (lambda c: c.row("cal-002").update(pair_id="cal-004x"), r"cal-002: pair_id 'cal-004x' is not a good row"),
    "span of a bad row": (lambda c: c.row("cal-003").update(span="x9"), r"cal-003: span 'x9' does not occur"),
    "kind": (lambda c: c.row("cal-024").update(kind="odd"), r"cal-024: kind 'odd' is not one of"),
    "case of a row": (
        lambda c: c.row("cal-050").update(case_id="gate-billing-01"),
        r"cal-050: case_id .* is not a case of dev",
    ),
    "good row equals the reference": (
        lambda c: c.row("cal-144").update(summary=expectations(c, "dev-digital-03")["references"][0]),
        r"cal-144: a good summary equals the reference of dev-digital-03",
    ),
    "good row leaks": (
        lambda c: c.row("cal-142").update(summary=c.row("cal-142")["summary"].replace("ending 2867", "4450192867")),
        r"cal-142: a good summary prints a full number that ends in 2867",
    ),
    "labels": (lambda c: c.files["judge_calibration"].pop(), r"judge_calibration\.jsonl: 7 rows of kind|79 bad rows"),
}


@pytest.fixture(scope="module")
def planted(tmp_path_factory):
    folder = tmp_path_factory.mktemp("planted") / "summarize"
    shutil.copytree(REAL, folder)
    copy = Copy(folder)
    for plant, _ in PLANTS.values():
        plant(copy)
    copy.write()
    found = check_folder(folder, load_task("summarize"), load_case_rules("summarize"))
    return [str(problem) for problem in found.problems]


def test_the_real_files_are_sound():
    found = check_folder(REAL, load_task("summarize"), load_case_rules("summarize"))
    assert [str(problem) for problem in found.problems] == []
    assert {balance.file: balance.cases for balance in found.balances} == {"challenge": 60, "dev": 40, "gate": 200}
    assert found.calibration is not None
    assert found.calibration.labels == {"good": 80, "bad": 80}


@pytest.mark.parametrize("name", PLANTS)
def test_a_planted_fault_is_named(planted, name):
    assert any(re.search(PLANTS[name][1], problem) for problem in planted), "\n".join(planted)


def test_cases_that_the_data_card_does_not_describe_are_a_problem(planted):
    for file in ("dev", "gate", "challenge", "judge_calibration"):
        assert any(re.match(rf"{file}\.jsonl: has digest .* bump the card's version", line) for line in planted)


def test_overlap_that_betrays_the_label_is_a_problem(tmp_path):
    task, rules = load_task("summarize"), load_case_rules("summarize")
    lines, _ = read_case_file(REAL / "dev.jsonl", task.input_model, rules)
    labelled = rows(REAL, "judge_calibration")
    for row in labelled:
        if row["label"] == "bad":
            row["summary"] = row["span"] = f"Entirely other words, number {row['id']}"
    path = tmp_path / "judge_calibration.jsonl"
    path.write_text("\n".join(map(json.dumps, labelled)), encoding="utf-8")
    found = check_calibration(path, lines, rules.calibration)
    assert len(found.problems) == 2
    assert all("a judge could pass by counting words" in str(problem) for problem in found.problems)


def test_the_command_reports_one_file_but_compares_it_with_the_others(tmp_path, monkeypatch):
    folder = tmp_path / "datasets" / "summarize"
    shutil.copytree(REAL, folder)
    copy = Copy(folder)
    interactions(copy, "dev-billing-01")[0]["text"] = interactions(copy, "gate-deposit-12")[0]["text"]
    copy.row("challenge-long-01")["slices"]["history"] = "0-1"
    copy.write()
    monkeypatch.setenv("OMNI_ROOT", str(tmp_path))
    done = CliRunner().invoke(build_app(), ["cases", "--task", "summarize", "--dataset", "gate"])
    assert done.exit_code == 1
    assert "has the same text as i1 of dev.jsonl:1 dev-billing-01" in done.output
    assert "challenge-long-01" not in done.output
    assert "gate at least 20" in done.output
    assert max(map(len, done.output.splitlines()[4:-1])) <= 100  # problems stand above the tables


def test_an_unknown_file_is_refused_with_those_that_are_there():
    with pytest.raises(CaseError, match=r"no dataset 'gat' .* challenge, dev, gate, judge_calibration"):
        check_folder(REAL, load_task("summarize"), load_case_rules("summarize"), only="gat")
