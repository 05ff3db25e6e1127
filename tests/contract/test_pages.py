"""Pages that tools/pages.py writes are what the code and the tests say now."""

import re

import pages
import pytest

REMEDY = "write it again: .venv/bin/python tools/pages.py"


@pytest.mark.parametrize(("path", "write"), pages.PAGES.items(), ids=[path.stem for path in pages.PAGES])
def test_the_committed_page_is_what_the_tool_writes(path, write):
    assert path.read_text(encoding="utf-8") == write(), REMEDY


def test_every_setting_has_a_meaning():
    bare = [line for line in pages.settings_page().splitlines() if re.fullmatch(r"- `\w+` (\(.*\) )?", line)]
    assert bare == [], "say in a comment beside the field what it is for"
