"""One word, one thing: a type has one definition and one name in the whole tree."""

import ast
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("eval", "figures", "omni", "reports", "service")


def _types(tree: ast.Module) -> Iterator[str]:
    """Names of public classes and type aliases that a module defines: CamelCase, so constants and functions are none."""
    for node in tree.body:
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            yield node.name
        elif isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            name = node.targets[0].id
            # A type variable belongs to its module, and a capital alone is one.
            if name[0].isupper() and not name.isupper() and not _calls(node.value, "TypeVar"):
                yield name


def _calls(node: ast.expr, name: str) -> bool:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == name


def _definitions() -> dict[str, list[str]]:
    found: dict[str, list[str]] = defaultdict(list)
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            relative = path.relative_to(ROOT)
            # Aliases in commands/ are parameters of the command line, each named as it is typed.
            if "out" in relative.parts or "commands" in relative.parts:
                continue
            for name in _types(ast.parse(path.read_text(encoding="utf-8"))):
                found[name].append(relative.as_posix())
    return found


def test_a_type_is_defined_once():
    assert {name: where for name, where in _definitions().items() if len(where) > 1} == {}


def test_names_are_taken_from_classes_and_aliases_and_from_nothing_else():
    tree = ast.parse(
        "class A:\n    class Inner: ...\nKind = int\nR = TypeVar('R')\nLIMIT = 3\nlower = 4\n_Own = int\nclass _B: ...\n"
    )
    assert list(_types(tree)) == ["A", "Kind"]
