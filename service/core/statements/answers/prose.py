"""The words that an answer says itself: without quotations, and without statements that it attributes to an interaction."""

import re
from collections.abc import Callable

from service.core.statements.grounding.sentence import split_sentences

# It begins with its only fixed part, so that the engine jumps from quotation mark to quotation mark.
_QUOTED = re.compile(r"[\"'](?:(?<=\")([^\"\n]{1,600})\"|(?<=')(?<![\w'].)([^'\n]{2,300})'(?!\w))")
# "Oct 7 chat: ..." as the digest writes it: what follows is the interaction's own text, up to the next of these.
_ATTRIBUTED = re.compile(
    r"\b(?:(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec) \d{1,2} (?:ivr|agent|email|chat|sms|web|mobile app|social)"
    r"|Latest outcome): "
)
_WORD = re.compile(r"[^\W_]+")
_SHORT_WORDS = 3
_PERSON = re.compile(r"\b(?:I|me|my|mine|we|us|our|you|your|yours)\b", re.I)
# A verb of saying before a clause makes it reported speech: "She says you must waive every fee".
_REPORTING = re.compile(
    r"\b(?:say(?:s|ing)?|said|tell(?:s|ing)?|told|ask(?:s|ed|ing)?|writ(?:es|ing|ten)|wrote|claim(?:s|ed|ing)?|posted"
    r"|posts|texted"
    r"|demand(?:s|ed|ing)?|insist(?:s|ed|ing)?|want(?:s|ed)?|request(?:s|ed|ing)?|threat\w{1,8}|warn(?:s|ed|ing)?"
    r"|advis(?:es|ed|ing)"
    r"|instruct(?:s|ed)|order(?:s|ed)|reply|repli(?:es|ed)|answer(?:s|ed)|complain(?:s|ed)|note(?:s|d)|stat(?:es|ed)"
    r"|read(?:s|ing)?"
    r"|beg(?:s|ged)|plead(?:s|ed)|urg(?:es|ed)|shout(?:s|ed)|yell(?:s|ed)|call(?:s|ed)|accus(?:es|ed)|describ(?:es"
    r"|ed)|quot(?:es|ed)"
    r"|suggest(?:s|ed)|recommend(?:s|ed)|promis(?:es|ed)|agreed|explain(?:s|ed)|remind(?:s|ed)|jok(?:es|ed)|mock(?:s"
    r"|ed)|adds|added"
    r"|message|text|email|e-mail|letter|note|notice|recording|words|asking|telling|offered|offers|allowed|told)\b",
    re.I,
)


def words_of(text: str) -> str:
    """Return the words of ``text`` in lower case with single spaces, to look for one text inside another."""
    return f" {' '.join(_WORD.findall(text.lower()))} "


def own_prose(text: str, stated: Callable[[], str]) -> str:
    """Return ``text`` without quotations and attributed statements, each replaced by a bar.

    A quotation counts only if the interactions hold it word for word, or if it is short and speaks of its speaker; others are
    read as the answer's own words. ``stated`` returns the interactions' words (``words_of``) and is called only when needed.
    ``text`` has plain quotes.
    """
    first = _ATTRIBUTED.search(text)
    if first is not None:
        parts = [text[: first.start()]]
        for stretch in _ATTRIBUTED.split(text[first.start() :]):
            kept = [part for part in split_sentences(stretch) if words_of(part) not in stated()]
            parts.append(" ".join(["|.", *kept]))
        text = "\n".join(parts)
    if '"' in text or "'" in text:
        text = _QUOTED.sub(lambda match: _quotation(match, stated), text)
    return text


def is_reported(sentence: str, place: int) -> bool:
    """Return whether a verb of saying comes before ``place`` in ``sentence``."""
    return _REPORTING.search(sentence, 0, place) is not None


def _quotation(match: re.Match[str], stated: Callable[[], str]) -> str:
    quoted = match[1] or match[2]
    # A short quotation may inflect somebody's words ("my fault"); it may not slip an order, a verdict or an insult in.
    short = len(_WORD.findall(quoted)) <= _SHORT_WORDS and _PERSON.search(quoted) is not None
    return "|" if short or words_of(quoted) in stated() else quoted
