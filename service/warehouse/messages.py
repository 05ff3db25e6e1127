"""Other programs' error messages as one line that a terminal shows whole."""

import logging
import re

_ESCAPES = re.compile(r"\x1b\[[0-9;]*m")
_LONGEST = 300

# What sqlglot cannot parse it logs as well as hands back; the error that comes of it is enough.
logging.getLogger("sqlglot").setLevel(logging.ERROR)


def one_line(text: str) -> str:
    """Return ``text`` without colours and line breaks, cut at 300 characters."""
    plain = " ".join(_ESCAPES.sub("", text).split())
    return plain if len(plain) <= _LONGEST else plain[: _LONGEST - 3] + "..."
