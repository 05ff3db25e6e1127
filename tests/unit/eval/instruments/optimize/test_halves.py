"""The halves of a search: seeded, apart, with accepted harvested cases, and without the gate's by construction."""

import ast
import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from eval.instruments.optimize.halves import load_halves
from eval.spine.errors import OptimizeError
from eval.suites import load_suite
from service.core.run.task import load_task
from service.kit.settings import REPO_ROOT, Settings

SUITE, TASK = load_suite("summarize"), load_task("summarize")
ROOM = REPO_ROOT / "eval" / "instruments" / "optimize"


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    folder = tmp_path / "datasets" / "summarize"
    folder.mkdir(parents=True)
    shutil.copy(REPO_ROOT / "datasets" / "summarize" / "dev.jsonl", folder)
    return Settings(root=tmp_path)


def test_the_halves_are_apart_seeded_and_of_one_size(settings):
    halves = load_halves(SUITE, TASK, settings, seed=3)
    own, other = ({case.id for case in half} for half in (halves.own, halves.other))
    assert (len(own), len(other)) == (20, 20)
    assert not own & other
    assert load_halves(SUITE, TASK, settings, seed=3).digest == halves.digest
    assert load_halves(SUITE, TASK, settings, seed=4).digest != halves.digest


def test_accepted_harvested_cases_are_split_too_and_written_ones_stay_with_the_gate(settings):
    folder = settings.datasets_dir / "summarize"
    lines = [json.loads(line) for line in (folder / "dev.jsonl").read_text().splitlines()[:8]]
    for number, case in enumerate(lines):
        case["id"] = f"kept-{number}"
        case["origin"] = "written" if number == 0 else "feedback of 2026-W47, short 0123456789ab"
    (folder / "regression.jsonl").write_text("".join(json.dumps(case) + "\n" for case in lines))
    halves = load_halves(SUITE, TASK, settings, seed=0)
    kept = [[case.id for case in half if case.id.startswith("kept")] for half in (halves.own, halves.other)]
    assert sorted(map(len, kept)) == [3, 4]
    assert "kept-0" not in kept[0] + kept[1]
    assert halves.harvested == 7


def test_a_search_reads_no_gate_set(settings):
    assert not (settings.datasets_dir / "summarize" / "gate.jsonl").exists()  # and nobody misses it
    load_halves(SUITE, TASK, settings, seed=0)
    with pytest.raises(OptimizeError, match="must not see the gate's cases"):
        load_halves(replace(SUITE, gate_dataset="dev"), TASK, settings, seed=0)


def test_only_the_last_step_of_a_run_knows_how_to_read_the_gates_cases():
    """``evaluate`` reads them; of the search's modules ``run`` alone imports it, and calls it in ``_gated`` alone."""
    readers = {"load_gate", "evaluate", "load_dataset"}
    found = {}
    for path in ROOM.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom):
                for alias in node.names:
                    if alias.name in readers:
                        found.setdefault(alias.name, set()).add(path.stem)
    assert found == {"evaluate": {"run"}, "load_dataset": {"halves"}}
    tree = ast.parse((ROOM / "run.py").read_text(encoding="utf-8"))
    callers = {
        function.name
        for function in ast.walk(tree)
        if isinstance(function, ast.FunctionDef)
        for node in ast.walk(function)
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "evaluate"
    }
    assert callers == {"_gated"}


def test_too_few_cases_are_refused_with_what_to_do(settings):
    path = settings.datasets_dir / "summarize" / "dev.jsonl"
    path.write_text("".join(line + "\n" for line in path.read_text().splitlines()[:6]))
    with pytest.raises(OptimizeError, match=r"has 6 cases to search with, and a search needs 8: .*harvest"):
        load_halves(SUITE, TASK, settings, seed=0)
