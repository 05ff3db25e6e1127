"""Writes the shorthand of contact-centre notes out: "cust recd ltr w/ bal" becomes "customer received letter with balance"."""

import re
from pathlib import Path

from service.core.statements.grounding.lexicon import OPENERS, ORDINARY
from service.kit.frame.patterns import pattern_texts

_SHORTHAND = pattern_texts(Path(__file__).with_name("patterns.yaml"), "shorthand")
_MEANING_OF = {short: meaning for meaning, all_of in _SHORTHAND.items() for short in all_of.split()}
_SHORT = re.compile(
    rf"(?<![\w/.@#&'-])(?:{'|'.join(sorted(map(re.escape, _MEANING_OF), key=len, reverse=True))})(?![\w/@&'-]|\.\w)",
    re.I,
)


def written_out(text: str) -> str:
    """Return ``text`` with known abbreviations written out; everything else, amounts and ids included, stays as it is."""
    return _SHORT.sub(_meaning, text)


def _meaning(match: re.Match[str]) -> str:
    # In capitals, or in two letters with a capital, it may be a time zone, initials or a name.
    short = match[0]
    if short.isupper() or (len(short) == 2 and not short.islower()):
        return short
    meaning = _MEANING_OF[short.lower()]
    # A capitalised word that no interaction holds may read like a name: only those that never do get the capital.
    return (
        meaning.capitalize()
        if short[0].isupper() and meaning.split()[0].removesuffix("'s") in ORDINARY | OPENERS
        else meaning
    )
