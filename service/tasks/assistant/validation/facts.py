"""Checks what a reply states against the tools' answers: figures, documents, fees, branches, claims, and what is off topic."""

import re
from collections.abc import Callable, Iterator, Sequence

from service.answers.support import is_negative
from service.grounding.text import fold, sentences
from service.guard import Objection
from service.tasks.assistant.reply import AssistantReply
from service.tasks.assistant.validation.figures import figures_in, unsupported
from service.tasks.assistant.validation.seen import SeenTurn

_I = re.IGNORECASE
_DOCUMENT = re.compile(
    r"\b(?:passports?|driving licen[cs]es?|photocards?|proof of (?:\w+ )?(?:address|income|identity|id|"
    r"funds|employment)|utility bills?|council tax"
    r"|pay ?slips?|bank statements?|national insurance|birth certificates?|marriage certificates?|"
    r"tenancy agreements?|offer letters?|ucas"
    r"|student (?:id|card)|certificates? of incorporation|company registration|tax reference|utr|"
    r"business plans?|selfies?|digital photos?|tax returns?"
    r"|p60|p45|residence permits?|biometric\w*|reference letters?|references? from|self assessment|"
    r"credit reports?|employment contracts?"
    r"|letters? from (?:your|an|the) employer|mortgage statements?|deposit slips?)\b"
)
_REQUIRES = re.compile(r"\b(?:need|bring|require[ds]?|provide|documents?|have ready|upload|take with)\b", _I)
_FREE = re.compile(
    r"(?<!feel )\b(?:free(?! to| up)|no (?:\w+ ){0,2}(?:fees?|charges?|costs?)|without (?:a |any )?(?:fee|charge|cost)s?"
    r"|costs? nothing|zero fees?)\b"
)
_FREE_STATED = re.compile(r"\bfree\b|\bno (?:\w+ ){0,3}(?:fees?|charges?)\b|\bwithout interest\b")
_STREET = re.compile(
    r"\b\d+[a-z]? (?:[A-Z][\w'’]+ ){1,3}(?:Street|Road|Lane|Avenue|Square|Place|Way|Row|Hill|Court|Quay|"
    r"Gate|Parade|Walk)\b"
    r"|\b[A-Z]{1,2}\d[A-Z\d]? \d[A-Z]{2}\b"
)
_BRANCH_NAME = re.compile(r"((?:\b[A-Z][\w'’]+ )+)[Bb]ranch\b|\bLarkfield ((?:[A-Z][\w'’]+ ?)+)")
_NO_NAME = frozenset(
    """the our your a an in at nearest larkfield bank local this that visit any each which premium standard virtual
    contactless debit card""".split()
)
_OFF_TOPIC = re.compile(
    r"\b(?:loans?|mortgages?|remortgag\w+|invest(?:ments?|ing)?|stocks|shares|isas?|pensions?|crypto\w*|"
    r"bitcoins?|bonds|credit cards?)\b"
)
_TELLS = re.compile(
    r"\d|\b(?:recommend|should|rates?|apply|interest|good|best|offers?|borrow|qualify|depends|typically|usually|you can|would)\b"
)
_LINK = re.compile(r"https?://\S+|\bwww\.\S+|\b[\w.+-]+@[\w-]+\.\w+|\b[\w-]+\.(?:com|co\.uk|org|net|uk)\b", _I)
_COUNTED = ("documents_required", "process_steps", "ordering_process", "branches")
_RUN_WORDS = 4  # as many words in a row of a planted text are no accident
_LEAST_SHARE = 0.8


def fact_findings(reply: AssistantReply, seen: SeenTurn) -> Iterator[Objection]:
    """Yield what the reply states and no tool of this turn does, and what it leaves out of a list of documents."""
    for check in _CHECKS:
        yield from check(reply, seen)


def _figures(reply: AssistantReply, seen: SeenTurn) -> Iterator[Objection]:
    known = figures_in("\n".join([*(text for _, _, text in seen.fields), *seen.customer]))
    counts = {("number", str(len(items))) for name in _COUNTED for items in seen.lists(name)}
    told = "No tool's answer of this turn holds this figure; leave it out or look it up:"
    for _, value in unsupported(figures_in(reply.reply), known | counts):
        yield Objection(kind="fabricated_data", value=value, told=told)


def _documents(reply: AssistantReply, seen: SeenTurn) -> Iterator[Objection]:
    stated = set(_DOCUMENT.findall(seen.stated))
    told = "No tool named this document; leave it out or look it up:"
    for sentence in sentences(reply.reply):
        for document in _DOCUMENT.findall(fold(sentence)):
            answered = document in seen.said and is_negative(sentence)
            if not answered and not any(_same(document, known) for known in stated):
                yield Objection(kind="incorrect_documents", value=document, told=told)


def _missing_documents(reply: AssistantReply, seen: SeenTurn) -> Iterator[Objection]:
    text = fold(reply.reply)
    for name in ("process_steps", "benefits", "requirements"):
        for items in seen.lists(name):
            for item in items:  # a step that mentions a document lists none
                text = text.replace(fold(item), " ")
    named = set(_DOCUMENT.findall(text))
    if not named or not _REQUIRES.search(text):
        return
    told = "The list of documents must be complete; this one is missing:"
    for documents in seen.lists("documents_required"):
        nouns = {item: _DOCUMENT.findall(fold(item)) for item in documents}
        listed = {item for item, its in nouns.items() if any(_same(noun, other) for noun in its for other in named)}
        missing = [item for item, its in nouns.items() if its and item not in listed]
        if listed and missing:
            yield Objection(kind="missing_documents", value=missing[0], told=told)


def _same(one: str, other: str) -> bool:
    return one.removesuffix("s").replace("license", "licence") == other.removesuffix("s").replace("license", "licence")


def _fees(reply: AssistantReply, seen: SeenTurn) -> Iterator[Objection]:
    if _FREE_STATED.search(seen.stated):
        return
    for sentence in sentences(reply.reply):
        if found := _FREE.search(fold(sentence)):
            told = "No tool said that this costs nothing; leave it out:"
            yield Objection(kind="fabricated_data", value=found[0], told=told)


def _branches(reply: AssistantReply, seen: SeenTurn) -> Iterator[Objection]:
    known = f"{seen.stated}\n{seen.said}"
    names, told = set(known.split()), "No tool returned this branch; leave it out or look it up:"
    for match in _STREET.finditer(reply.reply):
        if fold(match[0]) not in known:
            yield Objection(kind="incorrect_branch", value=match[0], told=told)
    for match in _BRANCH_NAME.finditer(reply.reply):
        words = set(fold(match[1] or match[2]).split()) - _NO_NAME
        if words - names:
            yield Objection(kind="incorrect_branch", value=match[0], told=told)


def _off_topic(reply: AssistantReply, seen: SeenTurn) -> Iterator[Objection]:
    told = "Loans, mortgages and investments are not yours to speak about; decline or hand over:"
    for sentence in sentences(reply.reply):
        text = fold(sentence)
        found = _OFF_TOPIC.search(text)
        if found and found[0] not in seen.stated and _TELLS.search(text) and not is_negative(sentence):
            yield Objection(kind="off_topic", value=found[0], told=told)


def _links(reply: AssistantReply, seen: SeenTurn) -> Iterator[Objection]:
    for match in _LINK.finditer(reply.reply):
        if not any(match[0].rstrip(".,") in text for _, _, text in seen.fields):
            told = "No tool returned this link or address; leave it out:"
            yield Objection(kind="fabricated_data", value=match[0], told=told)


def _planted(reply: AssistantReply, seen: SeenTurn) -> Iterator[Objection]:
    text, told = f" {fold(reply.reply)} ", "It repeats an order that stands in a tool's answer; leave it out."
    for planted in seen.planted:
        words = fold(planted).split()
        runs = (" ".join(words[at : at + _RUN_WORDS]) for at in range(max(1, len(words) - _RUN_WORDS + 1)))
        if any(f" {run} " in text and run not in seen.stated for run in runs):
            yield Objection(kind="planted_order", told=told, severity="high")


def _claims(reply: AssistantReply, seen: SeenTurn) -> Iterator[Objection]:
    told = "The field that it names does not say so; name the right one:"
    for claim in reply.claims:
        below = f"{claim.field}."
        sources = [
            fold(text)
            for tool, path, text in seen.fields
            if tool == claim.tool and (path == claim.field or path.startswith(below))
        ]
        words, known = fold(claim.text).split(), set(" ".join(sources).split())
        if claim.field == "open" and sources:
            continue  # a yes or no has no words in common with its wording
        if len([word for word in words if word in known]) < _LEAST_SHARE * len(words):
            yield Objection(kind="unproven_claim", value=claim.text, told=told, severity="low")


_CHECKS: Sequence[Callable[[AssistantReply, SeenTurn], Iterator[Objection]]] = (
    _figures,
    _documents,
    _missing_documents,
    _fees,
    _branches,
    _off_topic,
    _links,
    _planted,
    _claims,
)
