"""What a worker and the API ask about a tenant before they work for it: whether they may, and which pair scores its calls."""

import re
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from cachetools import TTLCache

from service.calls.failure import CallFailed, FailureReason
from service.calls.tenants.store import ConfiguredTenant, TenantStore, build_tenants
from service.core.release.served import ServedPair
from service.core.tasks.scorecard import TASK
from service.core.unit.cards import ModelCard, ModelCards
from service.kit.settings import Settings

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


# A suspended tenant's calls stop within this time.
KNOWN_FOR_S = 5.0
_KNOWN_AT_ONCE = 10_000


def _known() -> TTLCache[str, ConfiguredTenant]:
    return TTLCache(_KNOWN_AT_ONCE, KNOWN_FOR_S)


@dataclass(frozen=True, slots=True, kw_only=True)
class TenantDesk:
    """Answers from the tenants' table, at most five seconds old.

    ``released`` returns the released pairs, the newest first; it may ask the registry, and blocks. None: a pair was named for a
    trial, and scores every tenant's calls.
    """

    tenants: TenantStore
    residency: Residency
    released: Callable[[], Sequence[ServedPair]] | None
    _of: TTLCache[str, ConfiguredTenant] = field(default_factory=_known, init=False, repr=False, compare=False)

    async def admit(self, tenant: str) -> ConfiguredTenant:
        """Return a tenant whose calls may be worked on here.

        Raises:
            CallFailed: it does not exist, is suspended, or allows no data in this region.
        """
        return _admitted(await self.tenants.threads.run(self._find, tenant), tenant, self.residency)

    def served(self, tenant: str, production: ServedPair) -> ServedPair:
        """Return the pair that scores a tenant's calls: ``production``, or the newest released one of the tenant's own model.

        Raises:
            RegistryError: the tenant names another model than production's, and the registry does not answer.
        """
        known = _admitted(self._find(tenant), tenant, self.residency)
        chosen = production
        if self.released is not None and known.model not in (None, production.pair.model):
            pairs = self.released()
            found = next((one for one in pairs if one.pair.model == known.model), None)
            if found is None:
                others = sorted({production.pair.model, *(one.pair.model for one in pairs)})
                raise CallFailed(
                    FailureReason.MODEL,
                    f"tenant {tenant!r} is to be scored by {known.model}, and no released pair asks it; released pairs ask "
                    f"{', '.join(others)}: release one, or name one of these (omni tenant set {tenant} --model), then replay",
                )
            chosen = found
        refusal = self.residency.model_refusal(tenant, known.regions, chosen.pair.models)
        if refusal is not None:
            raise CallFailed(FailureReason.REGION, refusal)
        return chosen

    def is_free(self, tenant: str) -> bool:
        """Return whether a tenant's calls may be scored by any pair, a rollout's candidate included. Raises as ``served``."""
        known = self._find(tenant)
        return known is None or (known.model is None and not known.regions)

    def _find(self, tenant: str) -> ConfiguredTenant | None:
        known = self._of.get(tenant)
        if known is None and (known := self.tenants.get(tenant)) is not None:
            self._of[tenant] = known
        return known


def _admitted(tenant: ConfiguredTenant | None, name: str, residency: Residency) -> ConfiguredTenant:
    if tenant is None:
        raise CallFailed(FailureReason.UNKNOWN_TENANT, "the tenant does not exist: add it, then replay")
    if tenant.state != "active":
        raise CallFailed(
            FailureReason.SUSPENDED, f"tenant {name!r} is {tenant.state}: omni tenant resume {name}, then replay"
        )
    refusal = residency.storage_refusal(name, tenant.regions)
    if refusal is not None:
        raise CallFailed(FailureReason.REGION, refusal)
    return tenant


def build_desk(settings: Settings, cards: ModelCards, *, dynamodb: Any, named: bool = False) -> TenantDesk:
    """Return the desk; contacts nothing. ``named``: a pair was named for a trial, and no tenant has one of its own."""
    from service.core.release.released import (
        known_released_pairs,  # imports the registry, which a runtime of fakes does without
    )

    return TenantDesk(
        tenants=build_tenants(settings, dynamodb=dynamodb),
        residency=Residency(region=settings.aws.region, cards=cards, endpoint=settings.bedrock.endpoint),
        released=None if named else known_released_pairs(TASK.name, settings),
    )
