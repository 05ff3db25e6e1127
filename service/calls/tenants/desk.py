"""What a worker and the API ask about a tenant before they work for it: whether they may, and which pair scores its calls."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from cachetools import TTLCache

from service.calls.failure import CallFailed, FailureReason
from service.calls.tenants.residency import Residency
from service.calls.tenants.store import ConfiguredTenant, TenantStore, build_tenants
from service.core.release.served import ServedPair
from service.core.tasks.scorecard import TASK
from service.core.unit.cards import ModelCards
from service.kit.settings import Settings

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
