"""Reads from the words of a reply what it asks the customer for."""

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from eval.dialogue.scenario import KnownFact
from service.core.statements.grounding.text import form_occurs, sentences

_MORE = ("anything else", "something else", "further + help", "further + assist*", "more + help")
_FURTHER = r"(?:,|;|:|\band\b|\bor\b|\bso\b|\bif so\b)\s*(?:and\s+|so\s+)?"
_WH = (
    r"(?:what|which|who|whom|whose|when|where|why|how|to\s+wh\w+|from\s+wh\w+|(?:in|on|at|since|until|under)\s+wh\w+)\b"
)
_OPEN = re.compile(rf"(?:^|{_FURTHER})({_WH})", re.IGNORECASE)
_CLAUSE = re.compile(rf"{_FURTHER}(?={_WH})", re.IGNORECASE)
_FAIR = r"(?:right|correct|ok|okay|fine|all right|alright|good|agreed|yes)"
# What is answered with yes or no and lets the assistant act: an offer, or a summary to be agreed to. "May I ask..." is neither.
_PROPOSES = re.compile(
    rf"""\b(?:
        (?:shall|should)\ (?:i|we)\b
        | (?:may|can|could)\ (?:i|we)\ (?:just\ |then\ |now\ )?(?!have|ask|take|get|please|see)\w+
        | (?:(?:do|would)\ you\ )?(?:still\ |really\ |now\ |also\ )?(?:want|like)\ (?:me|us)\ to
        | (?:do|would)\ you\ (?:still\ |really\ |now\ |also\ )?(?:want|like|wish|agree|accept|approve|consent)
        | are\ you\ (?:really\ |quite\ |still\ )?(?:sure|certain|happy|ok|okay|fine|all\ right|in\ agreement)
        | (?:is|was|are|were|does|would|will)\b[^?]*\b(?:{_FAIR}|suit\ you|work\ for\ you|you\ mean|you\ meant)\b
        | have\ i\ (?:got|understood)\b
        | your\ (?:permission|consent|approval|agreement|go-ahead)
    )|\b{_FAIR}\s*\?""",
    re.IGNORECASE | re.VERBOSE,
)
_WANTS_A_YES = re.compile(
    r"\b(?:(?:say|reply|answer|type|write|send|text)(?: with)? [\"'“]?yes\b|(?:please|to|and|you) confirm\b)",
    re.IGNORECASE,
)
_CHOICE = re.compile(r"\bor\b(?! not\b)", re.IGNORECASE)
_REQUESTS = re.compile(
    r"""\?|\b(?:
        please | kindly | tell | give | send | share | provide | enter | type | read | repeat | check | confirm | say | reply
        | let\ (?:me|us)\ (?:know|have) | if\ you\ (?:could|can|would) | may\ i | could\ you | can\ you
        | (?<!all\ )(?<!everything\ )(?:i|we)(?:'ll|'d|\ will|\ would|\ also|\ just|\ still|\ now)*\ (?:need|require|want|like)
    )\b""",
    re.IGNORECASE | re.VERBOSE,
)
# Requests are known in English only: of other languages nobody says that they ask nothing.
_ENGLISH = re.compile(r"\b(?:the|your|you|and|has|have|with)\b", re.IGNORECASE)
_MARKS = re.compile(r"(?m)^\s*(?:[-*\u2022\u2013]|\d+[.)]|\([a-z]\))\s+|[*_`\"\u201c\u201d]|(?<=\?)[)\]]+")
_TELL = re.compile(r"\b(?:tell|give|send|share|provide|enter|type|read|repeat|need)\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class AskedInWords:
    """What the words of a reply ask for: ``facts`` by name, ``confirmation``, and further questions.

    ``openly`` are the facts that a question asks for which yes or no do not answer. ``anything`` is whether the words ask or
    request anything at all.
    """

    facts: frozenset[str]
    openly: frozenset[str]
    confirmation: bool
    anything: bool


def only_offers_more(text: str) -> bool:
    """Return whether the only question of ``text`` is what else the customer wants."""
    questions = _questions(_unmarked(text))
    return bool(questions) and all(map(_is_offer_of_more, questions))


def asked_in_words(text: str, knows: Mapping[str, KnownFact]) -> AskedInWords:
    """Return what ``text`` asks of a customer who ``knows`` facts by name."""
    text = _unmarked(text)
    questions = [question for question in _questions(text) if not _is_offer_of_more(question)]
    parts = [clause for question in questions or sentences(text) for clause in _CLAUSE.split(question)]
    open_parts, proposals = [part for part in parts if _is_open(part)], list(filter(_is_proposal, parts))
    confirmation = bool(proposals) or (not open_parts and _wants_a_yes(text, knows))
    return AskedInWords(
        facts=_names(knows, (part for part in parts if part not in proposals)),
        openly=_names(knows, open_parts),
        confirmation=confirmation,
        anything=_REQUESTS.search(text) is not None or _ENGLISH.search(text) is None,
    )


def further_facts(text: str, knows: Mapping[str, KnownFact], named: Sequence[str]) -> tuple[str, ...]:
    """Return the facts that questions of ``text`` ask for which are about none of the ``named`` ones."""
    found = set[str]()
    for question in _questions(_unmarked(text)):
        clauses = [_names(knows, [clause]) for clause in _CLAUSE.split(question) if _OPEN.match(clause)]
        found |= {name for names in clauses if not names & set(named) for name in names}
    return tuple(sorted(found))


def _unmarked(text: str) -> str:
    """Return ``text`` without the marks of lists and emphasis, in plain quotes and question marks."""
    return _MARKS.sub("", unicodedata.normalize("NFKC", text).replace("\u2019", "'"))


def _questions(text: str) -> list[str]:
    return [part for part in sentences(text) if part.endswith("?")]


def _is_offer_of_more(question: str) -> bool:
    return any(form_occurs(form, question) for form in _MORE)


def _is_open(part: str) -> bool:
    """Return whether yes and no do not answer ``part``: it begins with "what" or the like, or tells the customer to say it."""
    return _OPEN.match(part) is not None or (not part.endswith("?") and _TELL.search(part) is not None)


def _is_proposal(part: str) -> bool:
    if _OPEN.match(part) or not part.endswith("?") or _CHOICE.search(part):
        return False
    return _PROPOSES.search(part) is not None


def _wants_a_yes(text: str, knows: Mapping[str, KnownFact]) -> bool:
    return any(_WANTS_A_YES.search(part) and not _names(knows, [part]) for part in sentences(text))


def _names(knows: Mapping[str, KnownFact], parts: Iterable[str]) -> frozenset[str]:
    texts = tuple(parts)
    return frozenset(
        name for name, fact in knows.items() if any(form_occurs(form, text) for form in fact.asked_by for text in texts)
    )
