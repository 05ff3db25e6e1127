"""Shortens other programs' error messages to one line for a terminal."""

import logging
import re

_ESCAPES = re.compile(r"\x1b\[[0-9;]*m")
_LONGEST = 300

# sqlglot logs what it cannot parse and also raises it: the error is enough.
logging.getLogger("sqlglot").setLevel(logging.ERROR)


def one_line(text: str) -> str:
    """Return ``text`` without colours and line breaks, cut at 300 characters."""
    plain = " ".join(_ESCAPES.sub("", text).split())
    return plain if len(plain) <= _LONGEST else plain[: _LONGEST - 3] + "..."
