"""The sizes that the layout keeps to: what fits on a screen, into a room and into a head."""

import ast
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("eval", "figures", "omni", "reports", "service")
FUNCTION_LINES, MODULE_LINES, FOLDER_MODULES, LAYERS = 60, 400, 20, 10
# Trees whose folders are rooms; tests mirror the packages' folders.
ROOMS = (*PACKAGES, "tests/unit", "tests/integration")


def _modules(folder: str) -> Iterator[Path]:
    return (path for path in (ROOT / folder).rglob("*.py") if "out" not in path.relative_to(ROOT).parts)


def _long_functions(source: str, limit: int = FUNCTION_LINES) -> dict[str, int]:
    """Return the functions of more than ``limit`` lines, decorators not counted, by name."""
    sizes = {
        node.name: (node.end_lineno or node.lineno) - node.lineno + 1
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }
    return {name: size for name, size in sizes.items() if size > limit}


@pytest.mark.parametrize("package", PACKAGES)
def test_functions_fit_on_a_screen(package):
    found = {
        f"{path.relative_to(ROOT)} {name}": size
        for path in _modules(package)
        for name, size in _long_functions(path.read_text(encoding="utf-8")).items()
    }
    assert found == {}


@pytest.mark.parametrize("package", PACKAGES)
def test_modules_stay_small(package):
    sizes = {
        str(path.relative_to(ROOT)): len(path.read_text(encoding="utf-8").splitlines()) for path in _modules(package)
    }
    assert {name: size for name, size in sizes.items() if size > MODULE_LINES} == {}


@pytest.mark.parametrize("room", ROOMS)
def test_a_folder_with_more_modules_lacks_a_concept(room):
    counts: dict[str, int] = {}
    for path in _modules(room):
        if path.name not in ("__init__.py", "conftest.py"):
            folder = str(path.parent.relative_to(ROOT))
            counts[folder] = counts.get(folder, 0) + 1
    assert {folder: count for folder, count in counts.items() if count > FOLDER_MODULES} == {}


def _layer_contracts() -> dict[str, dict]:
    config = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"]
    return {contract["name"]: contract for contract in config["contracts"] if contract["type"] == "layers"}


def test_no_package_needs_more_layers_than_a_head_holds():
    assert {
        name: len(found["layers"]) for name, found in _layer_contracts().items() if len(found["layers"]) > LAYERS
    } == {}


def test_every_package_says_where_each_of_its_rooms_lies():
    exhaustive = {
        container
        for contract in _layer_contracts().values()
        if contract.get("exhaustive")
        for container in contract.get("containers", ())
    }
    assert exhaustive >= {"eval", "figures", "reports", "service"}


def test_a_function_is_measured_from_its_name_to_its_last_line():
    source = "@decorated\ndef long():\n" + "    pass\n" * 60 + "def short():\n    async def inner():\n        pass\n"
    assert _long_functions(source) == {"long": 61}
    assert _long_functions(source, limit=1) == {"long": 61, "short": 3, "inner": 2}
