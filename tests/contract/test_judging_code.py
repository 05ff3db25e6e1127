"""Evidence is bound to the code that judges: what a scorer or a model that is code imports must be part of the suite's digest."""

import ast
from pathlib import Path

import pytest

from eval.suite import _JUDGING_CODE, _JUDGING_SERVICE_CODE

ROOT = Path(__file__).resolve().parents[2]
# What these hold is data, types or settings: a change of theirs shows in inputs, pairs or results.
_PLAIN = {"interaction.py", "errors.py", "canonical.py", "cards.py", "pair.py", "settings.py"}
_CALLS = {"llm/call.py", "llm/deadline.py", "llm/pricing.py"}


def imported(path: Path) -> set[Path]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("service"):
            for name in (node.module, *(f"{node.module}.{alias.name}" for alias in node.names)):
                candidate = ROOT / (name.replace(".", "/") + ".py")
                if candidate.exists():
                    found.add(candidate)
    return found


def closure(path: Path, seen: set[Path]) -> set[Path]:
    for found in imported(path) - seen:
        seen.add(found)
        closure(found, seen)
    return seen


@pytest.mark.parametrize("start", ["service/grounding.py", "service/llm/extractive.py", "service/quotable.py"])
def test_what_judging_code_imports_is_in_the_digest(start):
    needed = {path.relative_to(ROOT / "service").as_posix() for path in closure(ROOT / start, {ROOT / start})}
    assert needed - _PLAIN - _CALLS <= set(_JUDGING_SERVICE_CODE)


def test_every_named_file_exists():
    assert [name for name in _JUDGING_SERVICE_CODE if not (ROOT / "service" / name).exists()] == []
    assert [name for name in _JUDGING_CODE if not list((ROOT / "eval").glob(name))] == []
