"""Other programs' error messages as one line that a terminal shows whole."""

import re

_ESCAPES = re.compile(r"\x1b\[[0-9;]*m")
_LONGEST = 300


def one_line(text: str) -> str:
    """Return ``text`` without colours and line breaks, cut at 300 characters."""
    plain = " ".join(_ESCAPES.sub("", text).split())
    return plain if len(plain) <= _LONGEST else plain[: _LONGEST - 3] + "..."
