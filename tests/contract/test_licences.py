"""Every locked package has a licence that was admitted, and docs/security/licences.md says which."""

import importlib.util
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
REMEDY = "write the page again: .venv/bin/python tools/licences.py .venv-infra/lib/python3.11/site-packages"
# Permissive, or (MPL) reaching only the package's own files.
ADMITTED = frozenset(
    "0BSD Apache-2.0 BSD BSD-2-Clause BSD-3-Clause CC0-1.0 CNRI-Python ISC MIT MIT-0 MIT-CMU MPL-2.0 PSF-2.0 Unlicense ZPL-2.1 "
    "Zlib".split()
)
EXCEPTIONS = {
    "apsw": ("any-OSI", "its author admits any licence of the OSI"),
    "espeakng-loader": ("GPL-3.0-or-later", "speaks sample recordings; an extra of its own that no image holds"),
    "psycopg2-binary": ("LGPL-3.0-or-later", "the registry's driver, used as a library, unchanged; its image alone holds it"),
    "httpx2-jsfetch": ("not stated", "installed in browsers (Pyodide) alone"),
}  # fmt: skip


def _tool():
    spec = importlib.util.spec_from_file_location("licences", ROOT / "tools" / "licences.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


TOOL = _tool()
ROWS = TOOL.rows_of(TOOL.PAGE.read_text(encoding="utf-8"))


def parts(licence):
    return {part.strip("() ") for choice in licence.split(" AND ") for part in choice.split(" OR ")}


def test_the_page_lists_every_locked_package():
    assert set(ROWS) == set(TOOL.locked()), REMEDY


def test_the_page_says_what_the_installed_packages_say():
    here = TOOL.installed(())
    said = {name: TOOL.STATED.get(name, TOOL.licence_of(here[name])) for name in ROWS if name in here}
    assert len(said) > 100
    assert {name: ROWS[name] for name in said} == said, REMEDY


@pytest.mark.acceptance("operation-26")
def test_every_licence_is_admitted():
    packages = sorted(ROWS)
    assert packages
    assert [name for name in packages if name in EXCEPTIONS and ROWS[name] != EXCEPTIONS[name][0]] == []
    assert [name for name in packages if name not in EXCEPTIONS and not parts(ROWS[name]) <= ADMITTED] == []


@pytest.mark.parametrize("licence", ["GPL-3.0", "MIT AND AGPL-3.0-only", "not stated", "Proprietary"])
def test_others_are_not_admitted(licence):
    assert not parts(licence) <= ADMITTED
