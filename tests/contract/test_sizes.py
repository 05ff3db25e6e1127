"""The sizes that the layout keeps to: what fits on a screen, into a room and into a head."""

import ast
import tomllib
from collections.abc import Collection, Iterator, Mapping
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("eval", "figures", "omni", "reports", "service")
FUNCTION_LINES, MODULE_LINES, FOLDER_MODULES = 60, 400, 20
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


# What imports make of the tree: rooms (direct children that hold code), arrows (pairs of rooms of which one imports the other)
# and floors (a room stands above all that it imports). The numbers may only fall; lower them when you made one smaller.
MOST = {
    "service": (23, 101, 9),
    "service.core": (9, 18, 5),
    "service.kit": (6, 13, 5),
    "eval": (22, 107, 11),
    "reports": (7, 12, 6),
    "omni": (13, 14, 7),
    "figures": (8, 5, 3),
}
TEST_HELPERS = 58  # modules that lie flat in tests/


def _imported(path: Path, known: Collection[str]) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            for alias in node.names:
                name = f"{node.module}.{alias.name}"
                yield name if name in known else node.module


def _rooms_and_arrows(package: str, imports: Mapping[str, Collection[str]]) -> tuple[set[str], set[tuple[str, str]]]:
    """Return the rooms of ``package`` and the pairs (importing room, imported room)."""
    inside = f"{package}."

    def room(name: str) -> str:
        return name.removeprefix(inside).split(".")[0]

    rooms = {room(name) for name in imports if name.startswith(inside)}
    arrows = {
        (room(name), room(target))
        for name, targets in imports.items()
        for target in targets
        if name.startswith(inside) and target.startswith(inside) and room(name) != room(target)
    }
    return rooms, arrows


def _floors(rooms: Collection[str], arrows: Collection[tuple[str, str]]) -> int:
    """Return how many floors the rooms need; a circle of rooms, which import-linter forbids, raises RecursionError."""

    @cache
    def floor(room: str) -> int:
        return 1 + max((floor(below) for above, below in arrows if above == room), default=0)

    return max(floor(room) for room in rooms)


@cache
def _imports() -> dict[str, set[str]]:
    paths = {}
    for path in (path for package in PACKAGES for path in _modules(package)):
        name = ".".join(path.relative_to(ROOT).with_suffix("").parts)
        paths[name.removesuffix(".__init__")] = path
    return {name: set(_imported(path, paths)) for name, path in paths.items()}


@pytest.mark.parametrize("package", MOST)
def test_rooms_arrows_and_floors_only_fall(package):
    rooms, arrows = _rooms_and_arrows(package, _imports())
    found = (len(rooms), len(arrows), _floors(rooms, arrows))
    assert all(now <= most for now, most in zip(found, MOST[package], strict=True)), found


def test_helpers_of_tests_only_fall():
    assert len([path for path in (ROOT / "tests").glob("*.py") if path.name != "conftest.py"]) <= TEST_HELPERS


def test_rooms_arrows_and_floors_are_counted_as_imports_make_them():
    imports = {
        "p.a.one": {"p.b.two", "p.b.three"},
        "p.b.two": {"p.c"},
        "p.b.three": set(),
        "p.c": {"q.d"},
        "q.d": set(),
    }
    rooms, arrows = _rooms_and_arrows("p", imports)
    assert (rooms, arrows) == ({"a", "b", "c"}, {("a", "b"), ("b", "c")})
    assert _floors(rooms, arrows) == 3


def _layer_contracts() -> dict[str, dict]:
    config = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"]
    return {contract["name"]: contract for contract in config["contracts"] if contract["type"] == "layers"}


def test_no_layer_holds_rooms_that_may_import_each_other():
    assert {name: line for name, found in _layer_contracts().items() for line in found["layers"] if ":" in line} == {}


def test_every_package_says_where_each_of_its_rooms_lies():
    exhaustive = {
        container
        for contract in _layer_contracts().values()
        if contract.get("exhaustive")
        for container in contract.get("containers", ())
    }
    assert exhaustive >= {"eval", "figures", "omni", "reports", "service", "service.core", "service.kit"}


def test_a_function_is_measured_from_its_name_to_its_last_line():
    source = "@decorated\ndef long():\n" + "    pass\n" * 60 + "def short():\n    async def inner():\n        pass\n"
    assert _long_functions(source) == {"long": 61}
    assert _long_functions(source, limit=1) == {"long": 61, "short": 3, "inner": 2}
