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
    "upsell": OutputName("message", "messages"),
}
_OTHER = OutputName("answer", "answers")
_WRITTEN = re.compile(r"\b(a )?(s)ummar(y|ies)\b", re.I)


def output_name(task: str) -> OutputName:
    """Return what the outputs of ``task`` are called; "answer" if nobody named them."""
    return _NAMED.get(task, _OTHER)


def worded(task: str, text: str) -> str:
    """Return ``text``, which is written about summaries, about the outputs of ``task``."""
    name = output_name(task)

    def word(found: re.Match[str]) -> str:
        article, initial, end = found[1] or "", found[2], found[3]
        new = name.one if end == "y" else name.many
        if article and new[0] in "aeiou":
            article = f"{article.strip()}n "
        return article + (new.capitalize() if initial == "S" else new)

    return _WRITTEN.sub(word, text)
