"""Evidence counts for the code that it was made with: what decides a verdict is in the suite's digest, and words are not."""

import ast
import random
import shutil
from pathlib import Path

import pytest

from eval.code_digest import DECIDING_CODE, WITHOUT_A_SAY, deciding_code_digest, deciding_files, without_words
from service.errors import ConfigurationError

ROOT = Path(__file__).resolve().parents[2]
TASKS = ("summarize", "scorecard")
# Where scores, intervals, judges and checks become a verdict, and the verdict an attestation.
START = (
    "eval/evaluate.py",
    "eval/verdict/gate.py",
    "eval/verdict/attest.py",
    "eval/run/answering.py",
    "eval/judges/panel.py",
)
# What those import and what decides nothing: it stores, prints, signs or carries what was decided, or is checked elsewhere.
CARRIERS = (
    "eval/card.py",
    "eval/errors.py",
    "eval/release/",
    "eval/report/",
    "eval/tracking/",
    "eval/casecheck/",
    "figures/command_line.py",
    "figures/files.py",
    "figures/formatting.py",
    "service/access/",
    "service/app.py",
    "service/aws/",
    "service/canonical.py",
    "service/clock.py",
    "service/errors.py",
    "service/events.py",
    "service/files.py",
    "service/process/gc_pause.py",
    "service/display/inert.py",
    "service/interactions/",
    "service/local/",
    "service/pair_file/",
    "service/process/pools.py",
    "service/redaction/",
    "service/release/",
    "service/runtime.py",
    "service/served.py",
    "service/settings.py",
    "service/strict.py",
    "service/telemetry/",
    "service/display/terminal.py",
)


def imported_files(path):
    """Return the project's files that ``path`` imports, wherever in it."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
        elif isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
    found = {
        ROOT / f"{name.replace('.', '/')}.py" for name in names if name.split(".")[0] in ("eval", "figures", "service")
    }
    return {file for file in found if file.exists()}


def reached(starts):
    seen, todo = set(), [ROOT / start for start in starts]
    while todo:
        path = todo.pop()
        name = path.relative_to(ROOT).as_posix()
        if name in seen or name.startswith(CARRIERS):
            continue
        seen.add(name)
        todo += imported_files(path)
    return seen


@pytest.fixture
def copy(tmp_path):
    for folder in ("eval", "figures", "service"):
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__", "node_modules"))
    return tmp_path


@pytest.mark.parametrize("task", TASKS)
def test_what_a_verdict_imports_is_in_the_digest(task):
    missing = reached((*START, f"service/tasks/{task}/__init__.py")) - set(deciding_files(task)) - set(WITHOUT_A_SAY)
    assert not missing, f"these decide verdicts and are in no suite's digest: {sorted(missing)}"


@pytest.mark.parametrize("task", TASKS)
def test_a_change_of_any_deciding_file_is_another_suite(task, copy):
    before = deciding_code_digest(task, copy)
    names = list(deciding_files(task, copy))
    for name in random.Random(1).sample(names, 12):
        path = copy / name
        text = path.read_text(encoding="utf-8")
        path.write_text(f"{text}\nCHANGED = 1\n", encoding="utf-8")
        assert deciding_code_digest(task, copy) != before, name
        path.write_text(text, encoding="utf-8")
    assert deciding_code_digest(task, copy) == before


def test_comments_docstrings_and_blank_lines_are_no_code(copy):
    before = deciding_code_digest("summarize", copy)
    path = copy / "eval" / "verdict" / "gate.py"
    text = path.read_text(encoding="utf-8")
    assert '"""' in text
    path.write_text(text.replace('"""', '"""Reworded. ', 1) + "\n\n# A comment.\n", encoding="utf-8")
    assert deciding_code_digest("summarize", copy) == before


def test_a_text_that_is_no_docstring_is_code(copy):
    assert without_words('X = """a # b"""\n') == 'X = """a # b"""'
    assert without_words("y = '#'  # why\n") == "y = '#'"
    assert without_words('def f():\n    """Words."""\n    return """x"""  # y\n') == 'def f():\n    return """x"""'
    assert without_words("z = 'it\\'s # no comment'\n") == "z = 'it\\'s # no comment'"


def test_stripped_code_is_the_same_program():
    compared = 0
    for path in {path for task in TASKS for path in deciding_files(task).values()}:
        source = path.read_text(encoding="utf-8")
        code = without_words(source)
        if not parses(code):  # a body of nothing but its docstring
            continue
        assert without_docstrings(ast.parse(code)) == without_docstrings(ast.parse(source)), path
        compared += 1
    assert compared > 60


def parses(code):
    try:
        ast.parse(code)
    except SyntaxError:
        return False
    return True


def without_docstrings(tree):
    """Return the tree as text, docstrings and bodies that held nothing else left out."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) or not node.body:
            continue
        first = node.body[0]
        if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and isinstance(first.value.value, str):
            del node.body[0]
    return ast.dump(tree)


@pytest.mark.parametrize("name", ["service/grounding", "eval/verdict", "service/guard.py", "figures/stats.py"])
def test_a_missing_place_is_an_error(name, copy):
    path = copy / name
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    with pytest.raises(ConfigurationError, match=f"{name} is missing"):
        deciding_code_digest("summarize", copy)


def test_what_has_no_say_exists_and_is_in_a_deciding_place():
    for name in WITHOUT_A_SAY:
        assert (ROOT / name).is_file(), name
        assert name.startswith(tuple(rule.split("*")[0] for rule in DECIDING_CODE)), name


def test_a_change_of_what_has_no_say_is_the_same_suite(copy):
    before = deciding_code_digest("summarize", copy)
    for name in WITHOUT_A_SAY:
        (copy / name).write_text("CHANGED = 1\n", encoding="utf-8")
    assert deciding_code_digest("summarize", copy) == before
