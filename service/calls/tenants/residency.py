"""Where a tenant's calls may be worked on: the deployment's region, and the regions in which models are called."""

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass

from service.core.unit.cards import ModelCard, ModelCards

UNKNOWN = "a region that nobody can tell"
# Inference profiles of Bedrock begin with where they send a call:
# https://docs.aws.amazon.com/bedrock/latest/userguide/inference-profiles-support.html (2026-11-23).
_PROFILES = ("eu", "us", "apac", "global")
_OF_GEOGRAPHY = {"eu": "eu-", "us": "us-", "apac": "ap-"}
_BEDROCK_HOST = re.compile(
    r"^https://(?:vpce-[a-z0-9-]+\.)?bedrock-runtime(?:-fips)?\.([a-z]{2}(?:-[a-z]+){1,2}-\d{1,2})\."
    r"(?:vpce\.)?(?:amazonaws\.com|api\.aws)(?:\.cn)?(?:[:/]|$)"
)
_THIS_MACHINE = re.compile(r"^https?://(?:127\.0\.0\.1|localhost|\[::1\])(?::\d+)?(?:/|$)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Residency:
    """Says where models are called. ``region`` is the deployment's, ``endpoint`` replaces Bedrock's address."""

    region: str
    cards: ModelCards
    endpoint: str | None = None

    def storage_refusal(self, tenant: str, regions: Collection[str]) -> str | None:
        """Return why this deployment may not work on a tenant's calls, or None."""
        if is_allowed(self.region, regions):
            return None
        return (
            f"this deployment keeps data in {self.region}, and tenant {tenant!r} allows {_list(regions)}: deliver its calls to a "
            "deployment there, or change its regions (omni tenant set)"
        )

    def model_refusal(self, tenant: str, regions: Collection[str], models: Iterable[str]) -> str | None:
        """Return why one of ``models`` may not be called with a tenant's calls, or None."""
        for model in models:
            place = self.place_of(self.cards.get(model))
            if place is not None and not is_allowed(place, regions):
                return (
                    f"model {model} is called in {place}, and tenant {tenant!r} allows {_list(regions)}: release a pair with a "
                    "model there, or change its regions (omni tenant set)"
                )
        return None

    def place_of(self, card: ModelCard) -> str | None:
        """Return the region or geography in which a model is called, ``UNKNOWN``, or None: it runs on this machine."""
        if card.wire == "in_process" or card.runs == "local":
            return None
        if card.wire != "bedrock":
            return UNKNOWN
        if self.endpoint is not None:
            if _THIS_MACHINE.match(self.endpoint):
                return None
            named = _BEDROCK_HOST.match(self.endpoint)
            return self._sent_to(card, named[1]) if named else UNKNOWN
        return self._sent_to(card, self.region)

    def _sent_to(self, card: ModelCard, region: str) -> str:
        profile = card.id.partition(".")[0]
        return profile if profile in _PROFILES else region


def is_allowed(place: str, regions: Collection[str]) -> bool:
    """Return whether a region or geography lies within ``regions``; without any, everything does."""
    if not regions or place in regions:
        return True
    return any(place.startswith(start) for name, start in _OF_GEOGRAPHY.items() if name in regions)


def _list(regions: Iterable[str]) -> str:
    return " and ".join(regions)
