"""Every text that a command prints goes through ``service/kit/frame/display/terminal.py``, which shows it inert."""

import ast
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("eval", "figures", "omni", "reports", "service")
ALLOWED = {
    "service/kit/frame/display/terminal.py": "it is the way",
    "omni/main.py": "one fixed word, before anything is imported",
    "service/kit/telemetry/log.py": "JSON lines, in which every control character is an escape",
}


NO_PAGES = {"omni/schedule/export.py"}  # writes files of configuration, from the committed schedule alone


def modules():
    return sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))


def names_in(path):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    used = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module == "rich.console":
            used |= {f"rich.console.{name.name}" for name in node.names}
    return used


def only_for_types(path):
    """The names that are imported where a type checker looks alone."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    blocks = [n for n in ast.walk(tree) if isinstance(n, ast.If) and ast.unparse(n.test) == "TYPE_CHECKING"]
    inside = [node for block in blocks for node in ast.walk(block) if isinstance(node, ast.ImportFrom)]
    return {f"{node.module}.{name.name}" for node in inside for name in node.names}


def test_nothing_is_printed_past_the_one_way():
    found = {str(path.relative_to(ROOT)) for path in modules() if "print" in names_in(path)}
    assert found <= set(ALLOWED), "import `say` from service.kit.frame.display.terminal"


def test_no_console_is_opened_past_the_one_way():
    found = {
        str(path.relative_to(ROOT))
        for path in modules()
        if "rich.console.Console" in names_in(path) - only_for_types(path)
    }
    assert found <= {"service/kit/frame/display/terminal.py"}, (
        "import `open_console` from service.kit.frame.display.terminal"
    )


def test_every_page_is_shown_inert_as_a_whole():
    writers = {path for path in modules() if "get_template(" in path.read_text(encoding="utf-8")}
    writers -= {ROOT / name for name in NO_PAGES}
    assert writers
    for path in writers:
        assert "return visible(page)" in path.read_text(encoding="utf-8"), path
