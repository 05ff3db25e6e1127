"""Commands that messages suggest are built by ``figures.command_line.omni``, which adds task, state and path, and quotes."""

import ast
import re
from pathlib import Path

from omni.app import build_app, typer

ROOT = Path(__file__).resolve().parents[2]
# A program of another environment or a name, not a step to type now.
ALLOWED = {
    "omni/deploying/rehearsal/broken.py": "what the rehearsal types",
    "omni/deploying/rehearsal/bring_up.py": "what the rehearsal types",
    "omni/deploying/rehearsal/runbooks.py": "what the rehearsal types",
    "eval/scorers/ragas.py": "the program of another environment",
    "reports/write/headline.py": "what made the week",
}


def literals(tree):
    """The texts of a module except docstrings and what the command line's help shows."""
    quiet = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            quiet.add(node.value)
        if isinstance(node, ast.keyword) and node.arg == "help":
            quiet |= set(ast.walk(node.value))
    return [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and node not in quiet
    ]


def test_no_message_of_the_harness_spells_a_command_out():
    commands = "|".join(sorted(typer.main.get_command(build_app()).commands, key=len, reverse=True))
    spelled = re.compile(rf"\bomni (?:{commands})\b")
    found = [
        f"{path.relative_to(ROOT)}:{node.lineno}: {node.value.strip()[:80]}"
        for package in ("eval", "figures", "omni", "reports")
        for path in sorted((ROOT / package).rglob("*.py"))
        if path.relative_to(ROOT).as_posix() not in ALLOWED
        for node in literals(ast.parse(path.read_text(encoding="utf-8")))
        if spelled.search(node.value)
    ]
    assert found == []
