"""Shows text from stores, files and models inert: one function per medium, so that no text can steer its reader's program."""

import re
from typing import Any

# C0 (without tab and line feed), DEL and C1 steer a terminal; bidirectional and invisible characters make a line read as
# another one; U+2028 and U+2029 end lines; tag characters and interlinear marks are not drawn; half surrogates cannot be written.
_UNSAFE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
    "\ud800-\udfff\ufffe\uffff\U000e0000-\U000e007f]"
)
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")
_FULL_WIDTH = ("＝", "＋", "－", "＠")  # spreadsheets take them for their narrow forms
# Markup and table cells, and what GitHub makes links and mentions of by itself.
_MARKDOWN = re.compile(r"[\\`*|<>&@]|\](?=[(\[:])|(?<=:)//|(?<=www)\.", re.IGNORECASE)
_ENTITIES = {"<": "&lt;", ">": "&gt;", "&": "&amp;", "@": "&#64;"}


def visible(text: str) -> str:
    r"""Return ``text`` with every character that would act instead of being shown as its escape, such as ``\u001b``.

    For terminals, whole HTML pages, Markdown documents and logs. The notation is that of JSON, so a JSON text keeps its
    value. Line feeds and tabs stay.
    """
    return _UNSAFE.sub(_escape, text)


def one_line(text: str, limit: int = 160) -> str:
    """Return ``text`` visible and on one line, cut at ``limit`` characters with an ellipsis."""
    flat = visible(" ".join(text.split()))
    return flat if len(flat) <= limit else f"{flat[: limit - 1].rstrip()}…"


def markdown(text: str, limit: int = 1_000) -> str:
    """Return ``text`` on one line as Markdown that shows it and nothing else: no markup, link, image, HTML or table cell."""
    return _MARKDOWN.sub(lambda found: _ENTITIES.get(found[0], f"\\{found[0]}"), one_line(text, limit))


def chat_text(text: str) -> str:
    """Return ``text`` for a chat message of Slack: visible, and no mention or link, which begin with ``<`` there."""
    return visible(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def xml_text(text: str) -> str:
    """Return ``text`` without characters that XML 1.0 forbids even as references; the writer escapes markup itself."""
    return visible(text)


def csv_cell(value: Any) -> Any:
    """Return a cell that a spreadsheet shows: a text that it would take for a formula gets an apostrophe in front.

    Numbers stay as they are, negative ones too. See OWASP, CSV injection.
    """
    if not isinstance(value, str):
        return value
    shown = visible(value)
    return f"'{shown}" if value.lstrip(" ").startswith(_FORMULA + _FULL_WIDTH) else shown


def _escape(found: re.Match[str]) -> str:
    code = ord(found[0])
    if code < 0x10000:
        return f"\\u{code:04x}"
    high, low = divmod(code - 0x10000, 0x400)
    return f"\\u{0xD800 + high:04x}\\u{0xDC00 + low:04x}"
