"""What a task's outputs are called in reports and dashboards; their texts are written about summaries."""

import re
from collections.abc import Mapping
from typing import NamedTuple


class OutputName(NamedTuple):
    """One output and several, in lower case."""

    one: str
    many: str


_NAMED: Mapping[str, OutputName] = {
    "summarize": OutputName("summary", "summaries"),
    "scorecard": OutputName("scorecard", "scorecards"),
}
_OTHER = OutputName("answer", "answers")
_WRITTEN = re.compile(r"\b(s)ummar(y|ies)\b", re.I)


def output_name(task: str) -> OutputName:
    """Return what the outputs of ``task`` are called; "answer" if nobody named them."""
    return _NAMED.get(task, _OTHER)


def worded(task: str, text: str) -> str:
    """Return ``text``, which is written about summaries, about the outputs of ``task``."""
    name = output_name(task)

    def word(found: re.Match[str]) -> str:
        new = name.one if found[2] == "y" else name.many
        return new.capitalize() if found[1] == "S" else new

    return _WRITTEN.sub(word, text)
