"""Checks the documents that a reply names: added ones, changed details, and what a list leaves out."""

import re
from collections.abc import Iterator
from pathlib import Path

from service.core.run.guard import Objection
from service.core.statements.answers.support import is_negative
from service.core.statements.grounding.text import fold, sentences
from service.core.tasks.assistant.reply import AssistantReply
from service.core.tasks.assistant.validation.seen import SeenTurn
from service.kit.frame.patterns import pattern_texts, word_list

_FILE = Path(__file__).with_name("patterns.yaml")
_TEXTS = pattern_texts(_FILE, "documents")

_DOCUMENT = re.compile(_TEXTS["document"])
_REQUIRES = re.compile(_TEXTS["requires"], re.I)
# What a list may be introduced with that does not say "need"; the customer's message does then.
_LISTS = re.compile(r"\b(?:just|only|thats all|things?|have)\b")
_ACCEPTS = re.compile(r"\b(?:proof of|counts?|accept\w*|will do|is fine|are fine)\b")
# Any other paper: "letter from your landlord", "phone bill", "A-level certificates".
_PAPER = re.compile(_TEXTS["paper"])
_LETTER_FROM = re.compile(r"\bletters? from (?:(?:your|the|an?|my) )?(?P<of>[a-z][\w-]+)")
_NO_KIND = frozenset(word_list(_FILE, "documents_no_kind").split())
# Details that decide whether a document is accepted: what no tool said of it changes it.
_DETAIL = re.compile(_TEXTS["detail"])
_HOW_MANY = re.compile(_TEXTS["how_many"])
_ADDED = "No tool named this document; leave it out or look it up:"


def document_findings(reply: AssistantReply, seen: SeenTurn) -> Iterator[Objection]:
    """Yield documents that no tool named or that have other details, and what a list of documents leaves out."""
    for sentence in sentences(reply.reply):
        text, negative = fold(sentence), is_negative(sentence)
        for document in _DOCUMENT.findall(text):
            answered = negative and any(_same(document, asked) for asked in _DOCUMENT.findall(seen.said))
            if not answered and not any(_same(document, known) for known in _DOCUMENT.findall(seen.known)):
                yield Objection(kind="incorrect_documents", value=document, told=_ADDED)
        if not negative:
            yield from _other_papers(text, seen)
            yield from _changed(text, seen)
    yield from _left_out(reply, seen)


def _other_papers(text: str, seen: SeenTurn) -> Iterator[Objection]:
    wanted = f"{text} {seen.message}"
    if not (_REQUIRES.search(wanted) or _ACCEPTS.search(text)) or not seen.known:
        return
    for pattern in (_PAPER, _LETTER_FROM):
        for match in pattern.finditer(text):
            of = match["of"]
            if of in _NO_KIND or _DOCUMENT.search(match[0]):
                continue
            if of not in seen.known_words:
                yield Objection(kind="incorrect_documents", value=match[0], told=_ADDED)


def _changed(text: str, seen: SeenTurn) -> Iterator[Objection]:
    told = "No tool said this of the document; state its details as the tool does:"
    if not _DOCUMENT.search(text):
        return
    for match in (*_DETAIL.finditer(text), *_HOW_MANY.finditer(text)):
        if match[0] not in seen.known:
            yield Objection(kind="incorrect_documents", value=match[0], told=told)


def _left_out(reply: AssistantReply, seen: SeenTurn) -> Iterator[Objection]:
    text = fold(reply.reply)
    for name in ("process_steps", "benefits", "requirements"):
        for items in seen.lists(name):
            for item in items:  # a step that mentions a document lists none
                text = text.replace(fold(item), " ")
    named = set(_DOCUMENT.findall(text))
    asked = _REQUIRES.search(seen.message) and _LISTS.search(text) and not is_negative(text)
    if not named or not (_REQUIRES.search(text) or asked):
        return
    told = "The list of documents must be complete; this one is missing:"
    for documents in seen.lists("documents_required"):
        nouns = {item: _DOCUMENT.findall(fold(item)) for item in documents}
        listed = {item for item, its in nouns.items() if any(_same(noun, other) for noun in its for other in named)}
        missing = [item for item, its in nouns.items() if its and item not in listed]
        if listed and missing:
            yield Objection(kind="missing_documents", value=missing[0], told=told)


def _same(one: str, other: str) -> bool:
    first, second = _plain(one), _plain(other)
    if first.startswith("proof of") and second.startswith("proof of"):
        return _same_proof(first, second)
    return first == second


def _same_proof(one: str, other: str) -> bool:
    """Return whether two proofs are one: of the same thing, and not of a home and of a business."""
    words, others = set(one.split()), set(other.split())
    sides = {"home", "business"}
    return one.split()[-1] == other.split()[-1] and not (
        words & sides and others & sides and not words & others & sides
    )


def _plain(document: str) -> str:
    return document.removesuffix("s").replace("license", "licence").replace("ni number", "national insurance")
