"""The floor: one wording for each channel, filled with an offer's facts by code."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from service.core.statements.accounting.wording import stems_of
from service.core.tasks.upsell.customer import Offer, UpsellInputs
from service.core.tasks.upsell.guidelines import Guidelines
from service.core.tasks.upsell.message import Draft, NotedReason

MODEL_ID = "local.upsell-templates-v1"
# Words of a note by which code sees, now and then, that this is no moment to sell; a model must see more.
_NOTED: Mapping[NotedReason, re.Pattern[str]] = {
    "vulnerable": re.compile(
        r"\b(?:bereave\w*|passed away|died|funeral|hospice|cancer|dementia|carer|oxygen|debts?|arrears|can(?:'t| ?not) afford|"
        r"lost (?:his|her|their|my) job|food ?bank|frightened|confused)\b",
        re.IGNORECASE,
    ),
    "complaint": re.compile(
        r"\b(?:complain\w*|furious|angry|unhappy|disgusted|ombudsman|solicitor|refund|unacceptable|never again|appalling)\b",
        re.IGNORECASE,
    ),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Brief:
    """What a message is written from: the customer on that day, and the pair's guidelines."""

    inputs: UpsellInputs
    guidelines: Guidelines


def template_message(document: object) -> str:
    """Return the draft of the offer that shares most words with the notes, or the reason to send none; JSON of ``Draft``."""
    assert isinstance(document, Brief)
    inputs = document.inputs
    notes = " ".join(visit.note for visit in inputs.visits)
    for reason, words in _NOTED.items():
        if words.search(notes):
            return Draft(send=False, reason=reason, offer_id="", message="").model_dump_json()
    told = stems_of(notes)
    offer = max(inputs.open_offers(), key=lambda one: len(told & stems_of(f"{one.name} {' '.join(one.includes)}")))
    return Draft(send=True, reason="", offer_id=offer.id, message=_worded(offer, document)).model_dump_json()


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
