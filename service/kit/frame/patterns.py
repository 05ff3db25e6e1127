"""Regular expressions and word lists that stand in a YAML file beside the code that uses them."""

import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from service.kit.frame.strict import own_yaml, read_strict

_PART = re.compile(r"\(\?&(\w+)\)")


def pattern_texts(file: Path, section: str) -> Mapping[str, str]:
    """Return the texts of a section by name: line breaks and the spaces around them mean nothing, ``(?&name)`` is another text.

    Raises:
        NotStrict: the file is not as it should be.
        KeyError: there is no such section, or no text of a name.
    """
    texts = {name: "".join(map(str.strip, text.splitlines())) for name, text in _sections(file)[section].items()}

    def whole(text: str) -> str:
        return _PART.sub(lambda part: whole(texts[part[1]]), text)

    return {name: whole(text) for name, text in texts.items()}


def word_list(file: Path, name: str) -> str:
    """Return a list of words, with spaces between them; see ``pattern_texts``."""
    return " ".join(_sections(file)["words"][name].split())


@cache
def _sections(file: Path) -> Mapping[str, Mapping[str, str]]:
    found: Mapping[str, Mapping[str, str]] = own_yaml(read_strict(file))
    return found
