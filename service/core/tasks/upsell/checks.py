"""What code holds against a draft: facts that the offer does not state, pressure, persons, and the brand's own rules."""

import re
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, time
from functools import lru_cache

from service.core.run.guard import Objection
from service.core.statements.answers.finding import FindingKind
from service.core.statements.answers.reading import SPOKEN, AnswerSource, findings_in, source_of_texts
from service.core.tasks.upsell.customer import Offer, UpsellInputs, spelled_day
from service.core.tasks.upsell.guidelines import Guidelines
from service.core.tasks.upsell.message import Draft

# A message speaks for the company, counts nothing of a history, and asks questions.
_BESIDES: frozenset[FindingKind] = SPOKEN | {"channel", "count", "contact", "repetition", "bare verdict"}
_WORD = re.compile(r"[\w£$€%']+|!")
# A price with what it is for: £14 a month, £14/month, £14 every month.
_PRICE = re.compile(r"([£$€]\s?[\d.,]*\d)(?:\s+(?:an?|per|each|every)\s+|\s*/\s*)(\w+)", re.IGNORECASE)
_WEEKDAY = re.compile(r"\b(?:Mon|Tues|Wednes|Thurs|Fri|Satur|Sun)day\b", re.IGNORECASE)
_URGENT = re.compile(
    r"\b(?:today|tonight|tomorrow|midnight|hours?|minutes?|hurry|quick(?:ly)?|fast|now|before (?:it|they|we)|last|limited"
    r"|ends?|ending|expires?|running out|while stocks?|only \w+ left|few left|deadline|immediately|urgent\w*|until"
    r"|this (?:week|weekend|month)|by the end)\b",
    re.IGNORECASE,
)


def objections(draft: Draft, inputs: UpsellInputs, guidelines: Guidelines) -> tuple[Objection, ...]:
    """Return what is wrong with a draft that is to be sent; empty if code finds nothing."""
    return tuple(dict.fromkeys(_objections(draft, inputs, guidelines)))


def offer_facts(offer: Offer) -> tuple[str, ...]:
    """Return everything that may be said about an offer, a statement each."""
    until = (f"The offer is open until {spelled_day(offer.until)}.",) if offer.until else ()
    return (
        f"{offer.name} is {offer.price}.",
        *(f"{offer.name} includes {what}." for what in offer.includes),
        offer.terms,
        *until,
    )


def known_facts(inputs: UpsellInputs, offer: Offer) -> tuple[str, ...]:
    """Return what a message about ``offer`` may state: the offer, the customer's first name, and which services there were.

    What agents and customers wrote in notes is no source: whoever writes there would write our messages.
    """
    visits = (f"{visit.service} on {spelled_day(visit.on)}." for visit in inputs.visits)
    greetings = (f"{word} {inputs.first_name}" for word in ("Hello", "Hi", "Dear"))
    return (*greetings, *offer_facts(offer), *visits)


def _objections(draft: Draft, inputs: UpsellInputs, guidelines: Guidelines) -> Iterator[Objection]:
    offer = next((one for one in inputs.open_offers() if one.id == draft.offer_id), None)
    if offer is None:
        told = "It offers what this customer cannot be offered; choose an id from the offers."
        yield Objection(kind="offer", told=told, value=draft.offer_id)
        return
    brand = guidelines.brand(inputs.tenant)
    own = draft.message.strip().removesuffix(brand.opt_out[inputs.channel])
    yield from _of_the_offer(own, inputs, offer, (*known_facts(inputs, offer), brand.name))
    yield from _of_the_brand(draft.message, inputs, guidelines)


def _of_the_offer(text: str, inputs: UpsellInputs, offer: Offer, facts: tuple[str, ...]) -> Iterator[Objection]:
    """Find what ``facts`` do not state, and other offers."""
    if not _phrases_in(text, (offer.name,)):
        yield Objection(kind="offer", told=f"It does not name the offer; write {offer.name}.")
    others = tuple(one.name for one in inputs.offers if one.name.casefold() not in offer.name.casefold())
    had = " ".join(visit.service for visit in inputs.visits)
    for name in set(_phrases_in(text, others)) - set(_phrases_in(had, others)):
        yield Objection(kind="offer", told="It speaks of two offers; keep to the one that you chose.", value=name)
    known = {word for fact in facts for word in fact.split()}
    for found in findings_in(text, _source(facts, inputs.as_of), _BESIDES):
        # A sentence's first word is no part of the name behind it: "Would Boiler".
        if found.kind == "name" and known.issuperset(found.value.split()[1:]) and " " in found.value:
            continue
        told = f"It says {found.value!r}, which neither the offer nor the customer's services state; leave it out."
        yield Objection(kind=found.kind, told=told, value=found.value)
    stated = set(map(_priced, _PRICE.finditer(" ".join(facts))))
    for one in _PRICE.finditer(text):
        if _priced(one) not in stated:
            yield Objection(kind="amount", told=f"The price is {offer.price}, not {one[0]}.", value=one[0])
    for day in _WEEKDAY.findall(text):
        yield Objection(kind="date", told="Name no day of the week; the offer has none.", value=day)
    if offer.until is None:
        stated_words = " ".join(facts)
        for hurry in _URGENT.findall(text):
            if not _phrases_in(stated_words, (hurry,)):
                yield Objection(kind="pressure", told=f"Leave out {hurry!r}: the offer has no end.", value=hurry)


def _of_the_brand(text: str, inputs: UpsellInputs, guidelines: Guidelines) -> Iterator[Objection]:
    """Find what the brand's guidelines forbid, and what they demand and the text lacks."""
    brand, most = guidelines.brand(inputs.tenant), guidelines.most_characters[inputs.channel]
    if len(text) > most:
        yield Objection(kind="length", told=f"It has {len(text)} characters and may have {most}; write less.")
    if not text.rstrip().endswith(brand.opt_out[inputs.channel]):
        yield Objection(kind="opt_out", told=f"It must end with: {brand.opt_out[inputs.channel]}")
    if not _phrases_in(text, (brand.name,)):
        yield Objection(kind="brand", told=f"It must name {brand.name}.")
    others = (*guidelines.competitors, *(one.name for one in guidelines.brands.values() if one is not brand))
    for kind, phrases, why in (
        ("brand", brand.never, "the brand never says this"),
        ("pressure", guidelines.pressure, "no message hurries a customer"),
        ("personal", guidelines.personal, "no message speaks of who somebody is or where they live"),
        ("competitor", others, "no message names another company"),
    ):
        for phrase in _phrases_in(text, phrases):
            yield Objection(kind=kind, told=f"Leave out {phrase!r}: {why}.", value=phrase)


def _priced(found: re.Match[str]) -> tuple[str, str]:
    return found[1].replace(" ", "").replace(",", ""), found[2].casefold()


def _phrases_in(text: str, phrases: Sequence[str]) -> list[str]:
    """Return the phrases that stand in ``text`` as whole words, whatever their case, dashes and spaces."""
    words = _folded(text)
    return [phrase for phrase in phrases if _folded(phrase) in words]


def _folded(text: str) -> str:
    words = _WORD.findall(text.casefold().replace("\u2019", "'"))
    return f" {' '.join(words)} "


# The attempts of one run, and the scorers of an evaluation, check texts against the same facts.
@lru_cache(maxsize=256)
def _source(facts: tuple[str, ...], day: date) -> AnswerSource:
    return source_of_texts(facts, as_of=datetime.combine(day, time(12), tzinfo=UTC))
