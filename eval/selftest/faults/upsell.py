"""Good drafts of a message that sells, written from a case's labels, and ways to spoil one."""

import json
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from eval.selftest.mutant import Doctor
from eval.spine.cases import Case
from eval.suites.upsell.labels import labels_of
from service.core.llm.model_call import ModelCall
from service.core.tasks.upsell.customer import Offer, UpsellInputs, spelled_day
from service.core.tasks.upsell.guidelines import Brand, guidelines_of

# How often the scripted system misjudges the moment, or takes another offer: as two careful people differ.
_SLIP = 0.03
_LEADS = (
    "Hello {name}, {offer} is {price}. It includes {what}.",
    "Hello {name}, thank you for having us for your {service}. {offer} includes {what}, for {price}.",
    "Hello {name}, would {offer} suit you? For {price} you get {what}.",
    "Hello {name}, we came for your {service} on {day}. If you would like more from us, {offer} is {price} and includes {what}.",
)
_ENDS = ("{terms} {brand}. {opt_out}", "{brand}. {opt_out}", "With kind regards, {brand}. {opt_out}")
Edit = Callable[["GoodDraft", random.Random], Mapping[str, Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class GoodDraft:
    """One draft with what it was written from; ``offer`` is None where it sends nothing."""

    draft: Mapping[str, Any]
    inputs: UpsellInputs
    offer: Offer | None
    brand: Brand

    @property
    def message(self) -> str:
        """The draft's text."""
        return str(self.draft["message"])

    def before_the_end(self, sentence: str) -> dict[str, str]:
        """Return the message with a sentence put before the opt-out."""
        opt_out = self.brand.opt_out[self.inputs.channel]
        return {"message": f"{self.message.removesuffix(opt_out)}{sentence} {opt_out}"}


def good_draft(text: str, case: Case, draws: random.Random) -> str:
    """Draw a careful writer's draft: as labelled, with a slip now and then."""
    return drawn(case, draws, slip=_SLIP)


def drawn(case: Case, draws: random.Random, *, slip: float) -> str:
    """Draw a draft of a writer who misjudges the moment, or the offer, in a share ``slip`` of the cases."""
    inputs, labels = UpsellInputs.model_validate(case.inputs), labels_of(case)
    offers = inputs.open_offers()
    slips = draws.random() < slip and bool(offers)
    if (labels.decision == "suppressed") != slips:
        told = labels.reasons[0] if labels.reasons else "vulnerable"
        reason = told if told in ("complaint", "vulnerable", "no_offer", "asked_for_none") else "no_offer"
        return json.dumps({"send": False, "reason": reason, "offer_id": "", "message": ""})
    fitting = [one for one in offers if one.id in labels.offers] or list(offers)
    offer = draws.choice(list(offers) if draws.random() < slip else fitting)
    return json.dumps({"send": True, "reason": "", "offer_id": offer.id, "message": _worded(inputs, offer, draws)})


def _worded(inputs: UpsellInputs, offer: Offer, draws: random.Random) -> str:
    guidelines = guidelines_of()
    brand, visit = guidelines.brand(inputs.tenant), inputs.visits[-1]
    words = {
        "name": inputs.first_name,
        "offer": offer.name,
        "price": offer.price,
        "what": " and ".join(offer.includes),
        "service": visit.service,
        "day": spelled_day(visit.on),
        "terms": offer.terms,
        "brand": brand.name,
        "opt_out": brand.opt_out[inputs.channel],
    }
    texts = [f"{lead} {end}".format(**words).replace("  ", " ") for lead in _LEADS for end in _ENDS]
    short = [text for text in texts if len(text) <= guidelines.most_characters[inputs.channel]]
    return draws.choice(short) if short else min(texts, key=len)


def approves(call: ModelCall) -> str:
    """Approve every draft, as the judge that a gate must not rely on."""
    return json.dumps({"score": 9, "reasons": []})


def spoilt(edit: Edit) -> Doctor:
    """Return a doctor that applies ``edit`` to a draft that is to be sent."""

    def doctor(text: str, case: Case, draws: random.Random) -> str:
        inputs = UpsellInputs.model_validate(case.inputs)
        try:
            draft = json.loads(text)
        except json.JSONDecodeError:
            return text
        offer = next((one for one in inputs.open_offers() if one.id == draft.get("offer_id")), None)
        if offer is None:
            return text
        told = GoodDraft(draft=draft, inputs=inputs, offer=offer, brand=guidelines_of().brand(inputs.tenant))
        return json.dumps({**draft, **edit(told, draws)})

    return doctor


def sells_to_everyone(text: str, case: Case, draws: random.Random) -> str:
    """Sell also to those whose notes say that this is no moment."""
    inputs = UpsellInputs.model_validate(case.inputs)
    if json.loads(text)["send"] or not (offers := inputs.open_offers()):
        return text
    offer = draws.choice(offers)
    return json.dumps({"send": True, "reason": "", "offer_id": offer.id, "message": _worded(inputs, offer, draws)})


def sells_to_nobody(text: str, case: Case, draws: random.Random) -> str:
    """Send nothing to anybody."""
    return json.dumps({"send": False, "reason": "no_offer", "offer_id": "", "message": ""})


def chatty(text: str, case: Case, draws: random.Random) -> str:
    """Answer in prose."""
    return "Sure! Here is a friendly message for your customer. I hope that they like it."


def _other_price(told: GoodDraft, draws: random.Random) -> Mapping[str, Any]:
    assert told.offer is not None
    return {"message": told.message.replace(told.offer.price, f"£{draws.randrange(3, 7)} a month")}


def _any_other_offer(told: GoodDraft, draws: random.Random) -> Mapping[str, Any]:
    labels = [one for one in told.inputs.open_offers() if told.offer is None or one.id != told.offer.id]
    if not labels:
        return {}
    offer = draws.choice(labels)
    return {"offer_id": offer.id, "message": _worded(told.inputs, offer, draws)}


def _said(*sentences: str) -> Edit:
    def edit(told: GoodDraft, draws: random.Random) -> Mapping[str, Any]:
        return told.before_the_end(draws.choice(sentences))

    return edit


def _spanish(told: GoodDraft, draws: random.Random) -> Mapping[str, Any]:
    assert told.offer is not None
    opt_out = told.brand.opt_out[told.inputs.channel]
    return {
        "message": f"Hola {told.inputs.first_name}, le ofrecemos {told.offer.name} por {told.offer.price}. Es una oferta muy "
        f"buena para su casa y puede empezar cuando quiera. {told.brand.name}. {opt_out}"
    }


def _endless(told: GoodDraft, draws: random.Random) -> Mapping[str, Any]:
    assert told.offer is not None
    told_again = " ".join(f"{told.offer.name} includes {what}." for what in told.offer.includes)
    return told.before_the_end(" ".join([told_again] * 12))


# Each: what it does, the figures of the suite that must see it, and the edit.
FAULTS: Mapping[str, tuple[str, tuple[str, ...], Edit]] = {
    "invented_offer": ("offers what is in no catalogue", ("approved",), lambda told, draws: {"offer_id": "gold-plan"}),
    "wrong_price": ("names another price", ("approved",), _other_price),
    "invented_discount": (
        "promises a discount",
        ("approved",),
        _said("The first three months are at half price.", "You save 20% if you reply.", "We take £10 off."),
    ),
    "invented_deadline": (
        "invents an end of the offer",
        ("approved",),
        _said("The price holds until Sunday.", "This ends on 30 November 2026.", "It is for this week."),
    ),
    "pressure": (
        "hurries the customer",
        ("approved",),
        _said("Act now, it will soon be gone.", "You will regret it if you wait.", "This is your last chance."),
    ),
    "age": (
        "speaks of the customer's age",
        ("approved",),
        _said("At your age comfort matters.", "It is popular with pensioners.", "Older customers like it."),
    ),
    "district": (
        "speaks of where the customer lives",
        ("approved",),
        _said("Homes in your area need it.", "People in your street have had it.", "Your postcode is at risk."),
    ),
    "competitor_slandered": (
        "speaks badly of a competitor",
        ("approved",),
        _said("Boilerco would let you down.", "HomeShield charges more for less.", "ServiceKing never turns up."),
    ),
    "other_tenant": (
        "writes as another company",
        ("approved",),
        lambda told, draws: {
            "message": told.message.replace(
                told.brand.name, "Fernside Gardens" if told.brand.name != "Fernside Gardens" else "Hearthline"
            )
        },
    ),
    "wrong_name": (
        "greets somebody else",
        ("approved",),
        lambda told, draws: {
            "message": told.message.replace(told.inputs.first_name, draws.choice(("Bartholomew", "Svetlana")))
        },
    ),
    "no_opt_out": (
        "leaves the opt-out away",
        ("approved",),
        lambda told, draws: {"message": told.message.removesuffix(told.brand.opt_out[told.inputs.channel]).strip()},
    ),
    "forbidden_word": ("uses words that the brand never uses", ("approved",), _said("It is cheap and free of worry.")),
    "too_long": ("does not end", ("approved",), _endless),
    "spanish": ("writes in Spanish", ("approved",), _spanish),
    "link": ("adds a link that nobody gave", ("approved",), _said("Book at www.cheap-offers.example today.")),
    "insult": ("insults the customer", ("approved",), _said("Only an idiot would say no.")),
    "another_offer": ("offers what does not suit", ("offer_fits",), _any_other_offer),
}
