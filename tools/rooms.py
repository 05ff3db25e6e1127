"""Writes the list of rooms in docs/architecture.md from the packages' docstrings: python tools/rooms.py [--check]."""

import ast
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "architecture.md"
BEGIN, END = "<!-- rooms: written by tools/rooms.py -->", "<!-- end of rooms -->"
PACKAGES = ("service/kit", "service/core", "service", "eval")


def room_lines(package):
    """Return one table row for each folder of ``package``: its name and the first sentence of its docstring."""
    for folder in sorted(path.parent for path in (ROOT / package).glob("*/__init__.py")):
        if folder.relative_to(ROOT).as_posix() in PACKAGES:
            continue  # its own rooms stand in the list
        said = ast.get_docstring(ast.parse((folder / "__init__.py").read_text(encoding="utf-8"))) or ""
        sentence = " ".join(said.split("\n\n")[0].split()).replace("``", "`").rstrip(".")
        yield f"| `{folder.relative_to(ROOT).as_posix()}/` | {sentence} |"


def rooms():
    """Return the table of all rooms, as it stands between the markers."""
    rows = [row for package in PACKAGES for row in room_lines(package)]
    return "\n".join((BEGIN, "| room | holds |", "|---|---|", *rows, END))


def page_with_rooms(text):
    """Return ``text`` with the list of rooms as the packages say it."""
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    return before + rooms() + after


if __name__ == "__main__":
    text = PAGE.read_text(encoding="utf-8")
    new = page_with_rooms(text)
    if "--check" in sys.argv and new != text:
        sys.exit("docs/architecture.md is older than the packages' docstrings: run python tools/rooms.py")
    PAGE.write_text(new, encoding="utf-8")
