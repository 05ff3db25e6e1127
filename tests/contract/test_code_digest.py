"""Evidence counts for the code that it was made with: what decides a verdict is in the suite's digest, and words are not."""

import ast
import random
import re
import shutil
from pathlib import Path

import pytest
from throw_away import ThrowAway

from eval.spine.code_digest import ENTRIES, WITHOUT_A_SAY, deciding_code_digest, deciding_files, followed, without_words
from service.kit.frame.errors import ConfigurationError

ROOT = Path(__file__).resolve().parents[2]
TASKS = ("summarize", "scorecard", "assistant")
# These import modules by a name that is made up while they run: a task, a suite, and they are where following begins.
BY_NAME = {"eval/suites/__init__.py", "service/core/run/task.py"}
# Some of each kind: a prompt's inputs and rendering, models' wires, the task, the guard, figures, the verdict, judges.
DECIDE = (
    "eval/behaviour/marks.py",
    "eval/judges/detectors.py",
    "eval/labels/contrasts/twins.jsonl",
    "eval/run/runner.py",
    "eval/scorers/facts.py",
    "eval/spine/suite.py",
    "eval/verdict/gate.py",
    "figures/stats.py",
    "service/core/statements/answers/leaks.py",
    "service/kit/frame/canonical.py",
    "service/kit/frame/errors.py",
    "service/core/statements/grounding/relative_days.py",
    "service/core/run/guard.py",
    "service/core/unit/interaction.py",
    "service/core/llm/litellm_wire.py",
    "service/core/unit/pair_file/templates.py",
    "service/kit/frame/strict.py",
    "service/core/run/task.py",
    "service/core/tasks/__init__.py",
)


def imported_files(name):
    """Return the project's files that ``name`` imports where it runs, as another reading of the imports than the digest's."""
    tree = ast.parse((ROOT / name).read_text(encoding="utf-8"))
    never = {
        inner
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        for statement in node.body
        for inner in ast.walk(statement)
    }
    names = set()
    for node in ast.walk(tree):
        if node in never:
            continue
        if isinstance(node, ast.ImportFrom):
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
        elif isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
    places = [
        ROOT / f"{name.replace('.', '/')}" for name in names if name.split(".")[0] in ("eval", "figures", "service")
    ]
    files = [file for place in places for file in (place.with_suffix(".py"), place / "__init__.py") if file.is_file()]
    return {file.relative_to(ROOT).as_posix() for file in files}


def has_no_say(name):
    return any(name == entry or name.startswith(f"{entry}/") for entry in WITHOUT_A_SAY)


@pytest.fixture
def copy(tmp_path):
    for folder in ("eval", "figures", "service"):
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__", "node_modules"))
    return tmp_path


@pytest.fixture
def parcels(tmp_path):
    house = ThrowAway(tmp_path, "parcels")
    yield
    house.remove()


@pytest.mark.parametrize("task", TASKS)
def test_what_a_deciding_module_imports_decides_or_is_named_as_without_a_say(task):
    files = set(deciding_files(task))
    assert {*ENTRIES, f"service/core/tasks/{task}/__init__.py", f"eval/suites/{task}/__init__.py"} <= files
    missing = {
        imported: name
        for name in files
        if name.endswith(".py")
        for imported in imported_files(name)
        if imported not in files and not has_no_say(imported)
    }
    assert not missing, f"these decide verdicts and are in no suite's digest: {missing}"


def test_no_deciding_module_imports_by_a_name_that_cannot_be_followed():
    files = {name: path for task in TASKS for name, path in deciding_files(task).items() if name.endswith(".py")}
    by_name = re.compile(r"\bimport_module\(|\b__import__\(|\bimport \*")
    assert {name for name, path in files.items() if by_name.search(path.read_text(encoding="utf-8"))} == BY_NAME


@pytest.mark.parametrize("task", TASKS)
def test_a_change_of_any_deciding_file_is_another_suite(task, copy):
    before = deciding_code_digest(task, copy)
    names = list(deciding_files(task, copy))
    assert set(DECIDE) <= set(names)
    for name in {*DECIDE, *random.Random(1).sample(names, 12)}:
        path = copy / name
        text = path.read_text(encoding="utf-8")
        path.write_text(f"{text}\nCHANGED = 1\n", encoding="utf-8")
        assert deciding_code_digest(task, copy) != before, name
        path.write_text(text, encoding="utf-8")
    assert deciding_code_digest(task, copy) == before


def test_a_module_of_its_own_counts_from_the_day_that_it_is_imported(copy):
    before = deciding_code_digest("summarize", copy)
    new, history = copy / "service" / "salutations.py", copy / "service" / "core" / "tasks" / "summarize" / "history.py"
    new.write_text("GREETING = 'Hello'\n", encoding="utf-8")
    assert deciding_code_digest("summarize", copy) == before
    late = "\n\ndef greeted():\n    from service import salutations\n\n    return salutations.GREETING\n"
    history.write_text(history.read_text(encoding="utf-8") + late, encoding="utf-8")
    imported = deciding_code_digest("summarize", copy)
    new.write_text("GREETING = 'Good morning'\n", encoding="utf-8")
    assert len({before, imported, deciding_code_digest("summarize", copy)}) == 3


def test_what_is_imported_for_types_alone_does_not_count(copy):
    path = copy / "service" / "core" / "tasks" / "summarize" / "history.py"
    types = "\nfrom typing import TYPE_CHECKING\n\nif TYPE_CHECKING:\n    from service.calls.result import CallResult\n"
    path.write_text(path.read_text(encoding="utf-8") + types, encoding="utf-8")
    assert "service/calls/result.py" not in deciding_files("summarize", copy)


@pytest.mark.parametrize("name", ["terms.md", "index.sqlite", "words/stop.toml"])
def test_data_of_any_kind_beside_a_tasks_code_count(copy, name):
    before = deciding_code_digest("summarize", copy)
    data = copy / "service" / "core" / "tasks" / "summarize" / name
    data.parent.mkdir(exist_ok=True)
    data.write_bytes(b"\xff\x00 one")
    one = deciding_code_digest("summarize", copy)
    data.write_bytes(b"\xff\x00 two")
    assert len({before, one, deciding_code_digest("summarize", copy)}) == 3


def test_compiled_code_and_hidden_files_do_not_count(copy):
    before = deciding_code_digest("summarize", copy)
    for name in ("__pycache__/card.cpython-311.pyc", ".card.py.swp"):
        file = copy / "service" / "core" / "tasks" / "summarize" / name
        file.parent.mkdir(exist_ok=True)
        file.write_bytes(b"\xff")
    assert deciding_code_digest("summarize", copy) == before


def test_the_data_that_a_task_reads_beside_its_code_counts(copy):
    before = deciding_code_digest("summarize", copy)
    weights = copy / "service" / "core" / "tasks" / "summarize" / "digest_weights.json"
    weights.write_text(weights.read_text(encoding="utf-8").replace("1", "2", 1), encoding="utf-8")
    assert deciding_code_digest("summarize", copy) != before


def test_a_fee_that_the_assistant_may_tell_counts(copy):
    knowledge = copy / "service/core/tasks/assistant/knowledge.yaml"
    before = deciding_code_digest("assistant", copy)
    text = knowledge.read_text(encoding="utf-8")
    knowledge.write_text(text.replace("fees: £12 a month", "fees: £13 a month"), encoding="utf-8")
    assert deciding_code_digest("assistant", copy) != before


def test_conversations_and_tools_count_for_the_tasks_that_have_them(parcels):
    theirs = deciding_files("parcels")
    assert {"service/core/tasks/parcels.py", "eval/suites/parcels.py"} <= set(theirs)
    assert {"eval/dialogue/customer.py", "eval/dialogue/play.py", "service/core/run/dialogue/task.py"} <= set(theirs)
    assert "service/core/tools/allowed.py" in theirs
    assert not any(
        name.startswith(("eval/dialogue/", "service/core/run/dialogue/")) for name in deciding_files("summarize")
    )


def test_a_change_of_a_plug_ins_code_is_another_suite(parcels, tmp_path):
    before = deciding_code_digest("parcels")
    path = tmp_path / "tasks" / "parcels.py"
    path.write_text(path.read_text(encoding="utf-8") + "\nCHANGED = 1\n", encoding="utf-8")
    assert deciding_code_digest("parcels") != before


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
    for path in {path for task in TASKS for path in deciding_files(task).values() if path.suffix == ".py"}:
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


@pytest.mark.parametrize(
    "name",
    [
        "service/core/statements/grounding",
        "eval/judges/panel.py",
        "service/core/run/guard.py",
        "figures/stats.py",
        "eval/promptfoo/provider.mjs",
    ],
)
def test_a_missing_place_is_an_error(name, copy):
    path = copy / name
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    with pytest.raises(ConfigurationError, match=f"{name.removesuffix('.py')} is missing, which .* (imports|needs)"):
        deciding_code_digest("summarize", copy)


def test_a_task_without_code_is_an_error(copy):
    with pytest.raises(ConfigurationError, match="service/core/tasks/nobody is missing"):
        deciding_code_digest("nobody", copy)


def test_what_has_no_say_exists_is_imported_and_says_why():
    imported = frozenset().union(*(followed(task).left_out for task in TASKS))
    assert imported == set(WITHOUT_A_SAY), "name what is imported and has no say, and nothing else"
    for name, why in WITHOUT_A_SAY.items():
        assert (ROOT / name).exists(), name
        assert why, name


def test_a_change_of_what_has_no_say_is_the_same_suite(copy):
    before = deciding_code_digest("summarize", copy)
    for name in WITHOUT_A_SAY:
        for path in [copy / name] if name.endswith(".py") else (copy / name).rglob("*.py"):
            path.write_text("CHANGED = 1\n", encoding="utf-8")
    assert deciding_code_digest("summarize", copy) == before
