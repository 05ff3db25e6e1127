"""Writes docs/security/licences.md: every locked package with its licence, read from the installed packages' metadata.

``python tools/licences.py [FOLDER ...]``: folders are further site-packages, such as .venv-infra's. A package that is
installed in none of them keeps the row that it has. tests/contract/test_licences.py compares.
"""

import re
import sys
from collections.abc import Iterable, Mapping
from importlib.metadata import Distribution, distributions
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "security" / "licences.md"
LOCKS = ROOT / "requirements"
_NAMES = yaml.safe_load(Path(__file__).with_suffix(".yaml").read_text(encoding="utf-8"))
SPDX = {words: name for name, said in _NAMES["spdx"].items() for words in said}
STATED = _NAMES["stated"]
_HEAD = """\
# Licences of locked packages

`python tools/licences.py` writes this page from the metadata of the packages in `requirements/*.txt`.
A test refuses a licence that nobody has admitted: `tests/contract/test_licences.py` holds the list and
the reasons for exceptions.

| licence | locked in | packages |
|---|---|---|
"""


def name_of(package: str) -> str:
    """Return a package's name as the index compares it."""
    return re.sub(r"[-_.]+", "-", package).lower()


def locked() -> dict[str, list[str]]:
    """Return every locked package with the locks that name it."""
    found: dict[str, list[str]] = {}
    for lock in sorted(LOCKS.glob("*.txt")):
        for package in re.findall(
            r"^([A-Za-z0-9][\w.-]*)(?:\[[^]]*\])?==", lock.read_text(encoding="utf-8"), re.MULTILINE
        ):
            locks = found.setdefault(name_of(package), [])
            if lock.stem not in locks:
                locks.append(lock.stem)
    return dict(sorted(found.items()))


def licence_of(package: Distribution) -> str:
    """Return a package's licence: its SPDX expression, else its classifiers, its own words, or its file."""
    metadata = package.metadata
    if expression := metadata.get("License-Expression"):
        return str(expression)
    classified = [one.split(" :: ")[-1] for one in metadata.get_all("Classifier", []) if one.startswith("License ::")]
    named = [one for one in classified if one != "OSI Approved"]
    own = str(metadata.get("License") or "").strip().splitlines()[:1]
    words = named or own or _in_file(package)
    return " AND ".join(sorted({SPDX.get(one.lower().strip(), one.strip()) for one in words})) or "not stated"


def rows_of(page: str) -> dict[str, str]:
    """Return the licence of each package of a page."""
    rows = page.partition("|---")[2]
    groups = re.findall(r"^\| ([^|]+?) \| [a-z, ]+ \| ([a-z0-9 ,-]+) \|$", rows, re.MULTILINE)
    return {package: licence for licence, packages in groups for package in packages.split(", ")}


def installed(folders: Iterable[str]) -> Mapping[str, Distribution]:
    """Return the packages of this environment and of further site-packages."""
    path = [*folders]
    every = [*(distributions(path=path) if path else ()), *distributions()]  # this environment wins
    return {name_of(one.metadata["Name"]): one for one in every if one.metadata["Name"]}


def _in_file(package: Distribution) -> list[str]:
    for file in package.files or ():
        if re.match(r"licen[cs]e", file.name, re.IGNORECASE):
            text = file.read_text()
            return ["MIT"] if "Permission is hereby granted, free of charge" in text else text.strip().splitlines()[:1]
    return []


def main(folders: list[str]) -> int:
    """Write the page; return 0."""
    known = rows_of(PAGE.read_text(encoding="utf-8")) if PAGE.exists() else {}
    here = installed(folders)
    groups: dict[tuple[str, str], list[str]] = {}
    for package, locks in locked().items():
        licence = licence_of(here[package]) if package in here else known.get(package, "not stated")
        licence = STATED.get(package, licence)
        groups.setdefault((licence, ", ".join(locks)), []).append(package)
    rows = [
        f"| {licence} | {locks} | {', '.join(packages)} |\n" for (licence, locks), packages in sorted(groups.items())
    ]
    PAGE.parent.mkdir(parents=True, exist_ok=True)
    PAGE.write_text(_HEAD + "".join(rows), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
