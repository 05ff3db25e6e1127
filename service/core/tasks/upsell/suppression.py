"""Who is sold nothing now: decided by code before a model is asked, so that no model can decide otherwise."""

import re
from collections.abc import Iterator
from datetime import timedelta

from service.core.tasks.upsell.customer import SuppressionReason, UpsellInputs
from service.core.tasks.upsell.guidelines import Guidelines

_SELLING = (
    r"(?:marketing|promotion\w*|promo|offers?|adverts?|ads|ad|sales|selling|upsell\w*|deals|newsletters?|spam|junk)"
)
# Words with which customers ask for no more of this; what is worded otherwise is for the model to see.
_ASKED_FOR_NONE = re.compile(
    rf"\b(?:no more|no further|stop|quit|enough)\b(?:\s[\w']+){{0,4}}\s{_SELLING}\b|\bno {_SELLING}\b"
    rf"|\b(?:don't|do not|doesn't|does not|never|not)\b(?:\s[\w']+){{0,6}}\s{_SELLING}\b"
    rf"|\b(?:unsubscribe\w*|opt(?:ed|s)?[- ]?out|take (?:me|her|him|them) off (?:the|your|our) (?:mailing )?list)\b",
    re.IGNORECASE,
)


def suppressed(inputs: UpsellInputs, guidelines: Guidelines) -> SuppressionReason | None:
    """Return why the customer is sold nothing on this day and channel, or None; the gravest reason first."""
    return next(_reasons(inputs, guidelines), None)


def _reasons(inputs: UpsellInputs, guidelines: Guidelines) -> Iterator[SuppressionReason]:
    if inputs.tenant not in guidelines.brands:
        yield "no_guidelines"
    if not inputs.consent.marketing or inputs.channel not in inputs.consent.channels:
        yield "no_consent"
    if any(_ASKED_FOR_NONE.search(visit.note) for visit in inputs.visits):
        yield "asked_for_none"
    if inputs.vulnerable:
        yield "vulnerable"
    since = inputs.as_of - timedelta(days=guidelines.quiet["complaint"])
    if any(one.open or one.made > since for one in inputs.complaints):
        yield "complaint"
    if inputs.contacted and inputs.contacted > inputs.as_of - timedelta(days=guidelines.quiet["message"]):
        yield "contacted_recently"
    if not inputs.open_offers():
        yield "no_offer"
