"""The floor: one wording for each channel, filled by code with an offer's facts, for customers about whom nothing was noted."""

from dataclasses import dataclass

from service.core.statements.accounting.wording import stems_of
from service.core.tasks.upsell.customer import Offer, UpsellInputs
from service.core.tasks.upsell.guidelines import Guidelines
from service.core.tasks.upsell.message import Draft

MODEL_ID = "local.upsell-templates-v1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Brief:
    """What a message is written from: the customer on that day, and the pair's guidelines."""

    inputs: UpsellInputs
    guidelines: Guidelines


def template_message(document: object) -> str:
    """Return the draft of the offer that shares most words with the services, as JSON of ``Draft``.

    A note may show that this is no moment to sell, and code cannot read it: where there is one, nothing is sent.
    """
    assert isinstance(document, Brief)
    inputs = document.inputs
    if any(visit.note for visit in inputs.visits):
        return Draft(send=False, reason="note_unread", offer_id="", message="").model_dump_json()
    offer = offer_by_words(inputs)
    return Draft(send=True, reason="", offer_id=offer.id, message=_worded(offer, document)).model_dump_json()


def offer_by_words(inputs: UpsellInputs) -> Offer:
    """Return the open offer that shares most words with the services; of equals the first. There must be one."""
    had = stems_of(" ".join(visit.service for visit in inputs.visits))
    return max(inputs.open_offers(), key=lambda one: len(had & stems_of(f"{one.name} {' '.join(one.includes)}")))


def _worded(offer: Offer, brief: Brief) -> str:
    inputs, brand = brief.inputs, brief.guidelines.brand(brief.inputs.tenant)
    most, end = brief.guidelines.most_characters[inputs.channel], f"{brand.name}. {brand.opt_out[inputs.channel]}"
    lead = f"Hello {inputs.first_name}, {offer.name} is {offer.price}."
    text = f"{lead} {end}"
    for count in range(1, len(offer.includes) + 1):
        *first, last = offer.includes[:count]
        listed = f"{', '.join(first)} and {last}" if first else last
        longer = f"{lead} It includes {listed}. {end}"
        text = longer if len(longer) <= most else text
    return text
