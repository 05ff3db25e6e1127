"""Checks what a reply states against the tools' answers: figures, documents, fees, branches, claims, and what is off topic."""

import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from service.core.run.guard import Objection
from service.core.statements.answers.support import content_of, is_negative
from service.core.statements.grounding.text import fold, sentences
from service.core.tasks.assistant.reply import AssistantReply
from service.core.tasks.assistant.understanding.triggers import names_other_customer
from service.core.tasks.assistant.validation.documents import document_findings
from service.core.tasks.assistant.validation.figures import figures_in, unsupported, worked_out
from service.core.tasks.assistant.validation.seen import SeenTurn
from service.core.tasks.assistant.validation.subjects import subject_findings
from service.kit.frame.patterns import pattern_texts, word_list

_FILE = Path(__file__).with_name("patterns.yaml")
_TEXTS = pattern_texts(_FILE, "facts")

_I = re.IGNORECASE
_STREET = re.compile(_TEXTS["street"])
_STREET_NAME = re.compile(r"(?<=\bon )(?:[A-Z][\w'’]+ )+(?:Street|Road|Lane|Avenue|Square|Row|Hill|Parade)\b")
_BRANCH_NAME = re.compile(_TEXTS["branch_name"])
_NAME = re.compile(r"\b[A-Z][a-z]+\b")
_SOMEBODYS = re.compile(_TEXTS["somebodys"])
_MENU = re.compile(r"\b(?:option|choice) (?:\d|one|two|three|a|b)\b|\b(?:press|say|type) \d\b", _I)
_LIST_LINE = re.compile(r"^\s*(?:\d{1,2}[.)]|[-*•]) ", re.MULTILINE)
_NO_NAME = frozenset(word_list(_FILE, "facts_no_name").split())
_OFF_TOPIC = re.compile(_TEXTS["off_topic"])
_TELLS = re.compile(_TEXTS["tells"])
_LINK = re.compile(r"https?://\S+|\bwww\.\S+|\b[\w.+-]+@[\w-]+\.\w+|\b[\w-]+\.(?:com|co\.uk|org|net|uk)\b", _I)
_COUNTED = ("documents_required", "process_steps", "ordering_process", "branches")
_RUN_WORDS = 4  # as many words in a row of a planted text are no accident
_LEAST_SHARE = 0.8


def _figures(reply: AssistantReply, seen: SeenTurn) -> Iterator[Objection]:
    stated = figures_in("\n".join([*(text for _, _, text in seen.fields), *seen.assistant]))
    own = figures_in("\n".join(seen.customer))
    known = stated | own | worked_out(stated, own)
    counts = {("number", str(len(items))) for name in _COUNTED for items in seen.lists(name)}
    told = "No tool's answer of this turn holds this figure; leave it out or look it up:"
    for _, value in unsupported(figures_in(reply.reply), known | counts):
        yield Objection(kind="fabricated_data", value=value, told=told)


def _branches(reply: AssistantReply, seen: SeenTurn) -> Iterator[Objection]:
    told = "No tool returned this branch; leave it out or look it up:"
    places = [set(text.split()) for text in seen.branches]
    for sentence in sentences(reply.reply):
        no_place = is_negative(sentence) or sentence.endswith("?")
        known = f"{seen.known}\n{seen.said}"
        for match in (*_STREET.finditer(sentence), *_STREET_NAME.finditer(sentence)):
            if fold(match[0]) not in known:
                yield Objection(kind="incorrect_branch", value=match[0], told=told)
        if no_place:
            continue
        for match in _BRANCH_NAME.finditer(sentence):
            words = set(fold(match[1] or match[2] or match[3]).split()) - _NO_NAME
            if words and not any(words <= place for place in places):
                yield Objection(kind="incorrect_branch", value=match[0], told=told)


def _other_customer(reply: AssistantReply, seen: SeenTurn) -> Iterator[Objection]:
    """Yield an answer to a question about somebody else's account; declining holds a "no"."""
    told = "Nothing about another customer may be shared, whoever asks; decline."
    asked = names_other_customer(seen.message) and reply.action in ("answer", "close")
    if asked and not is_negative(reply.reply):
        yield Objection(kind="another_customer", told=told, severity="high")
        return
    named = set(_NAME.findall(seen.message)) | {"He", "he", "She", "she"}
    for sentence in sentences(reply.reply):
        of_other = (match for match in _SOMEBODYS.finditer(sentence) if match[1] in named)
        if any(fold(match[1]) not in seen.known_words for match in of_other) and not is_negative(sentence):
            yield Objection(kind="another_customer", value=sentence, told=told, severity="high")


def _menu(reply: AssistantReply, seen: SeenTurn) -> Iterator[Objection]:
    found = _MENU.search(reply.reply)
    if (
        found is None
        and reply.action == "clarify"
        and reply.asks != ("more",)
        and len(_LIST_LINE.findall(reply.reply)) > 1
    ):
        found = _LIST_LINE.search(reply.reply)
    if found:
        told = "Do not read out a menu; ask in a sentence:"
        yield Objection(kind="menu_in_words", value=found[0].strip(), told=told, severity="low")


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


_FREE = re.compile(_TEXTS["free"])
_FREE_STATED = re.compile(r"\bfree\b|\bno (?:\w+ ){0,3}(?:fees?|charges?)\b|\bwithout interest\b")
# What is free is one of these, or the thing itself.
_FREE_THINGS = (
    re.compile(r"\breplac\w*|\bnew (?:one|card)\b|\blos[et]\b|\blost\b|\banother one\b|\bcreate a new\b"),
    re.compile(r"\babroad\b|\bforeign\b|\boverseas\b|\bother currenc\w+|\beuros?\b|\bdollars?\b|\bholiday\b"),
    re.compile(r"\bwithdraw\w*|\bcash machines?\b|\bcash ?points?\b|\b(?:take|taking|took) (?:\w+ )?out\b"),
    re.compile(r"\boverdraft\b|\binterest\b"),
)
_FOR_A_TIME = re.compile(r"\bfirst \d+ (?:months?|years?)\b")
_COSTS = re.compile(r"£\s*\d[\d,.]* (?:a|per|each) month|£\s*\d[\d,.]* monthly")
_NOT_FREE = "No tool said that this costs nothing; leave it out:"


def fee_findings(reply: AssistantReply, seen: SeenTurn) -> Iterator[Objection]:
    """Yield what the reply says to be free where no tool, nor an earlier reply, said so of the same thing."""
    stated = [
        fold(sentence)
        for text in (*(text for _, _, text in seen.fields), *seen.assistant)
        for sentence in sentences(text)
    ]
    free = [sentence for sentence in stated if _FREE_STATED.search(sentence)]
    costs = any(_COSTS.search(sentence) for sentence in stated)
    for sentence in sentences(reply.reply):
        text = fold(sentence)
        for clause in re.split(r",|\bbut\b|\band\b|;", sentence):
            found = _FREE.search(fold(clause))
            if found and not _is_stated(
                _free_things(fold(clause)) or _free_things(text) or _asked(text, seen), text, free, costs
            ):
                yield Objection(kind="fabricated_data", value=found[0], told=_NOT_FREE)


def _asked(text: str, seen: SeenTurn) -> frozenset[int]:
    """Return the topics of the customer's message; none where the sentence says itself what is free."""
    return (
        frozenset()
        if re.search(r"\bmonthly\b|\bmonth\b|\baccount\b|\bcard\b", text)
        else _free_things(fold(seen.message))
    )


def _free_things(text: str) -> frozenset[int]:
    return frozenset(number for number, topic in enumerate(_FREE_THINGS) if topic.search(text))


def _is_stated(topics: frozenset[int], text: str, free: list[str], costs: bool) -> bool:
    if topics:
        return any(topics & _free_things(sentence) for sentence in free)
    general = [sentence for sentence in free if not _free_things(sentence)]
    if any(_FOR_A_TIME.search(sentence) for sentence in general):
        return bool(re.search(r"\d", text))
    return bool(general) and not costs


_CONDITION = re.compile(_TEXTS["condition"])
_END = re.compile(r"[;,]| and (?=you|a|an|your)| which | who ")
_OF_NO_CONDITION = content_of("have be hold you account larkfield bank customer apply open need already also must")
_LEAST_UNKNOWN = 0.5


def requirement_findings(reply: AssistantReply, seen: SeenTurn) -> Iterator[Objection]:
    """Yield the conditions of the reply most of whose words no tool, customer or earlier reply has used."""
    known = content_of(f"{seen.known}\n{seen.said}") | _OF_NO_CONDITION
    told = "No tool sets this condition; leave it out:"
    for sentence in sentences(reply.reply):
        if is_negative(sentence) or sentence.endswith("?"):
            continue
        text = " ".join(re.sub(r"[’']", "", sentence.lower()).split())
        for match in _CONDITION.finditer(text):
            clause = _END.split(text[match.end() :], maxsplit=1)[0]
            words = content_of(fold(clause)) - _OF_NO_CONDITION
            if words and len(words - known) >= _LEAST_UNKNOWN * len(words):
                yield Objection(kind="fabricated_requirement", value=clause.strip(), told=told)


_CHECKS: Sequence[Callable[[AssistantReply, SeenTurn], Iterator[Objection]]] = (
    _figures,
    document_findings,
    requirement_findings,
    fee_findings,
    subject_findings,
    _branches,
    _other_customer,
    _menu,
    _off_topic,
    _links,
    _planted,
    _claims,
)


def fact_findings(reply: AssistantReply, seen: SeenTurn) -> Iterator[Objection]:
    """Yield what the reply states and neither a tool of this turn nor an earlier reply does, and what it leaves out of a list."""
    for check in _CHECKS:
        yield from check(reply, seen)
