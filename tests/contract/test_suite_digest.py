"""Evidence counts for the code that it was made with: every module that has a say in a verdict is part of the suite's digest."""

import ast
import shutil
from pathlib import Path

import pytest

import eval.suite
from eval.suite import judging_code_digest

ROOT = Path(__file__).resolve().parents[2]
# Where scores, intervals, looks, judges and checks become a verdict, and the verdict an attestation.
ROOTS = ("evaluate", "gate", "metrics", "deltas", "answering", "judging", "attest")
# They carry what was measured and decide nothing: stores, files, processes, pages.
NO_SAY = {
    "callcache": "returns what was answered, under keys that hold pair and case",
    "ceiling": "shown beside the metrics, gates nothing",
    "errors": "names what went wrong",
    "evidence": "writes what was decided; what it reads is checked against the attestation",
    "files": "writes files",
    "formatting": "prints figures",
    "journal": "names runs",
    "ledger": "releases what was decided",
    "loaders": "the digest of the data that it loads is in the attestation",
    "models": "starts model processes",
    "progress": "prints",
    "reading": "prints",
    "signing": "signs what was decided",
    "store_lock": "one release at a time",
    "tracking": "stores what was decided",
    "tracking_worker": "stores what was decided",
}
PAGES = ("report", "changes", "console", "card")


def imports(path):
    """Return the names of the modules of `eval` that a file imports, wherever in it."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("eval"):
            found |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names if alias.name.startswith("eval.")}
    return {name.removeprefix("eval.") for name in found if name != "eval"}


def path_of(root, name):
    path = root / "eval" / f"{name.replace('.', '/')}.py"
    return path if path.exists() else None


def with_a_say():
    seen, todo = set(), list(ROOTS)
    while todo:
        name = todo.pop()
        path = path_of(ROOT, name)
        if name in seen or path is None or name in NO_SAY or name.startswith(PAGES):
            continue
        seen.add(name)
        todo += imports(path)
    return sorted(seen)


@pytest.fixture
def copy(tmp_path, monkeypatch):
    for folder in ("eval", "service"):
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__", "node_modules"))
    monkeypatch.setattr(eval.suite, "_HERE", tmp_path / "eval")
    return tmp_path


@pytest.mark.parametrize("name", with_a_say())
def test_a_change_of_judging_code_is_another_suite(copy, name):
    before = judging_code_digest("summarize")
    path = path_of(copy, name)
    path.write_text(path.read_text(encoding="utf-8") + "\n# changed\n", encoding="utf-8")
    assert judging_code_digest("summarize") != before, (
        f"eval/{name}.py decides verdicts and is not in the suite's digest"
    )


def test_a_change_of_what_decides_nothing_is_the_same_suite(copy):
    before = judging_code_digest("summarize")
    (copy / "eval" / "progress.py").write_text("# changed\n", encoding="utf-8")
    assert judging_code_digest("summarize") == before
