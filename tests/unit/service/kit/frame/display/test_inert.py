"""Text of others is shown and never acts, in every medium that it reaches."""

import csv
import io
import json
import re
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.kit.frame.display.inert import csv_cell, markdown, one_line, visible, xml_text
from service.kit.frame.display.terminal import open_console, say

ACTING = {
    "escape": "\x1b[31mred",
    "title": "\x1b]0;owned\x07",
    "C1": "\x9b31mred",
    "carriage return": "good\rbad",
    "backspace": "good\x08\x08bad",
    "delete": "a\x7fb",
    "right to left": "safe\u202egnp.exe",
    "isolate": "a\u2066b\u2069",
    "arabic mark": "a\u061cb",
    "zero width": "pro\u200bd",
    "joiner": "a\u2060b",
    "byte order mark": "\ufeffa",
    "line separator": "a\u2028b",
    "tag": "a\U000e0041b",
    "half a surrogate": "a\ud800b",
    "NUL": "a\0b",
}
PLAIN = "Füße, 東京, שלום, 👩\u200d🔧, 1 < 2 & \ttab\nline"


@pytest.mark.parametrize("name", ACTING)
def test_what_acts_is_shown_as_an_escape(name):
    shown = visible(ACTING[name])
    assert "\\u" in shown
    assert all(" " <= character < "\x7f" for character in shown)


def test_other_text_stays_as_it_is():
    assert visible(PLAIN) == PLAIN


@given(st.text())
def test_what_is_shown_once_does_not_change_again(text):
    assert visible(visible(text)) == visible(text)


@given(st.recursive(st.text() | st.none() | st.floats(allow_nan=False), st.lists))
def test_a_json_text_keeps_its_value(value):
    assert json.loads(visible(json.dumps(value, ensure_ascii=False))) == value


def test_one_line_is_one_line_and_is_cut():
    assert one_line("a\x1b[31m red\r\n\tb\u202ec") == "a\\u001b[31m red b\\u202ec"
    assert one_line("word " * 50, limit=12) == "word word w…"
    assert len(one_line("x" * 500, limit=100)) == 100


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1+1", "@SUM(A1)", "\t=1", " =1", "\r=1", "＝1", '=HYPERLINK("x")'])
def test_a_spreadsheet_takes_no_cell_for_a_formula(text):
    out = io.StringIO()
    csv.writer(out).writerow([csv_cell(text)])
    (cell,) = next(csv.reader(io.StringIO(out.getvalue())))
    assert cell == f"'{visible(text)}"


@pytest.mark.parametrize("value", ["text", "a=b", "1", 1, -1.5, None, ""])
def test_other_cells_stay_as_they_are(value):
    assert csv_cell(value) == value


@pytest.mark.parametrize(
    "text",
    [
        "<img src=x>",
        "![x](http://evil)",
        "[x](javascript:1)",
        "a | b",
        "`code`",
        "**bold**",
        "@somebody",
        "www.evil.com",
    ],
)
def test_markdown_shows_the_text_itself(text):
    from markdown_it import MarkdownIt

    page = MarkdownIt("commonmark", {"html": True}).enable("table").render(f"before {markdown(text)} after")
    inside = "".join(ET.fromstring(page).itertext())
    assert inside == f"before {text} after"
    assert {element.tag for element in ET.fromstring(page).iter()} == {"p"}


@given(st.text())
def test_xml_holds_every_text(text):
    assert ET.fromstring(f"<a>{xml_text(text).replace('&', '&amp;').replace('<', '&lt;')}</a>") is not None


@pytest.mark.parametrize("name", ACTING)
def test_the_terminal_gets_no_acting_character(capsys, name):
    say("case", ACTING[name])
    assert "\\u" in capsys.readouterr().out


@pytest.mark.parametrize("name", ACTING)
def test_a_rich_console_draws_its_own_styles_and_nothing_of_the_text(name):
    from rich.panel import Panel
    from rich.table import Table
    from rich.text import Text

    table = Table(title=ACTING[name])
    table.add_column(ACTING[name])
    table.add_row(ACTING[name])
    out = io.StringIO()
    console = open_console(out, force_terminal=True, width=200, color_system="truecolor")
    for item in (ACTING[name], Text(ACTING[name], style="bold"), table, Panel(ACTING[name], title=ACTING[name])):
        console.print(item)
    drawn = out.getvalue()
    assert "\x1b[1m" in drawn, "its own style"
    assert ACTING[name] not in drawn
    without_styles = re.sub(r"\x1b\[[13]?m|\x1b\[0m", "", drawn)
    assert visible(without_styles) == without_styles


def test_brackets_and_colons_are_text_and_no_markup(capsys):
    out = io.StringIO()
    open_console(out, width=80).print("[red]:smile:[/blue] [link=http://evil]x[/link]")
    assert out.getvalue() == "[red]:smile:[/blue] [link=http://evil]x[/link]\n"
