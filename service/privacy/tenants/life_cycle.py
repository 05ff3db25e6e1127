"""Creates, suspends, resumes and deletes tenants; every step can be repeated after an interruption."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from service.access.changes import SPREAD_S, AccessChanges
from service.access.clients import unfit_tenant
from service.calls.store.form_store import DEFAULT_FORM, FormChanged, FormStore, default_form
from service.calls.store.states import CallJobs
from service.calls.tenants.desk import Residency
from service.calls.tenants.store import ConfiguredTenant, TenantMissing, TenantSettings, TenantStore
from service.kit.frame.errors import PairError, ServiceError
from service.kit.telemetry.log import Event, log
from service.privacy.erasure.eraser import Eraser, Found
from service.privacy.erasure.identity import TenantIds
from service.privacy.tenants.receipts import TenantLedger, TenantReceipt

_MOST_SWEEPS = 3
_BEING_DELETED = "tenant {0!r} is being deleted; finish it first: omni tenant delete {0}"


class TenantChangeRefused(ServiceError):
    """A tenant cannot be created or deleted as things stand; the message says why and what to do."""

    status = 409


@dataclass(frozen=True, slots=True, kw_only=True)
class TenantLifeCycle:
    """Blocking, except ``create``. ``eraser`` builds one tenant's eraser, which calls the tenants' table ``config_place``.

    ``by`` is who gave the order: a person, or a client of the service. Every method raises ``StoreError`` when a store does not
    answer, ``TenantMissing`` when there is no such tenant, and ``TenantChanged`` when one that is being deleted is to change.
    """

    tenants: TenantStore
    forms: FormStore
    jobs: CallJobs
    access: AccessChanges
    ledger: TenantLedger
    residency: Residency
    eraser: Callable[[str], Eraser]
    config_place: str
    now: Callable[[], datetime]
    sleep: Callable[[float], None] = time.sleep

    async def create(self, tenant: str, settings: TenantSettings, *, by: str) -> ConfiguredTenant:
        """Add a tenant with an active default form, and return it; the settings of one that exists stay as they are.

        Raises:
            TenantChangeRefused: no new tenant can have this id, its regions allow no data in this deployment or no calls of its
                model, nobody knows that model, or it is being deleted.
        """
        self._check(tenant, settings)
        if self.tenants.get(tenant) is None:
            if self.access.is_suspended(tenant):
                raise TenantChangeRefused(_BEING_DELETED.format(tenant))
            if (why := unfit_tenant(tenant)) is not None:
                raise TenantChangeRefused(f"no tenant can be called {tenant!r}: {why}; choose another id")
        wanted = ConfiguredTenant(
            tenant=tenant, created_at=_to_ms(self.now()), created_by=by, **settings.model_dump(exclude_unset=True)
        )
        added = await self.tenants.threads.run(self.tenants.add, wanted)
        known = wanted if added else self.get(tenant)
        if known.state == "deleting":
            raise TenantChangeRefused(_BEING_DELETED.format(tenant))
        await self._with_form(tenant, by)
        if added:
            log(Event.TENANT_CHANGED, tenant=tenant, state="created")
        return known

    async def _with_form(self, tenant: str, by: str) -> None:
        if await self.forms.heads(tenant):
            return
        try:
            saved = await self.forms.save_draft(default_form(tenant), edit=0, who=by)
            await self.forms.activate(tenant, DEFAULT_FORM, edit=saved.edit, who=by)
        except FormChanged:
            return  # another process has begun with it

    def _check(self, tenant: str, settings: TenantSettings) -> None:
        refusal = self.residency.storage_refusal(tenant, settings.regions)
        if refusal is None and settings.model is not None:
            try:
                refusal = self.residency.model_refusal(tenant, settings.regions, [settings.model])
            except PairError as err:
                refusal = str(err)
        if refusal is not None:
            raise TenantChangeRefused(refusal)

    def get(self, tenant: str) -> ConfiguredTenant:
        """Return a tenant."""
        known = self.tenants.get(tenant)
        if known is None:
            raise TenantMissing(f"there is no tenant {tenant!r}: omni tenant list shows them")
        return known

    def configure(self, tenant: str, settings: TenantSettings) -> ConfiguredTenant:
        """Replace a tenant's settings and return it; what ``create`` refuses is refused."""
        self._check(tenant, settings)
        changed = self.tenants.configure(tenant, settings)
        log(Event.TENANT_CHANGED, tenant=tenant, state="configured")
        return changed

    def suspend(self, tenant: str, *, by: str, why: str) -> ConfiguredTenant:
        """Refuse a tenant's clients and stop work on its calls within seconds; its data stays. A repeat changes nothing."""
        known = self.get(tenant)
        self.access.suspend_tenant(tenant)
        if known.state == "suspended":
            return known
        moved = self.tenants.move(tenant, "suspended", from_states=("active",), by=by, why=why, now=self.now())
        log(Event.TENANT_CHANGED, tenant=tenant, state="suspended")
        return moved

    def resume(self, tenant: str, *, by: str, why: str) -> ConfiguredTenant:
        """Let a suspended tenant's clients in again, and take its calls."""
        known = self.get(tenant)
        if known.state != "active":
            known = self.tenants.move(tenant, "active", from_states=("suspended",), by=by, why=why, now=self.now())
            log(Event.TENANT_CHANGED, tenant=tenant, state="resumed")
        self.access.resume_tenant(tenant)
        return known

    def begin_deletion(self, tenant: str, *, by: str, why: str) -> None:
        """Put a suspended tenant, of which no call is held by a worker, into the state in which it is deleted.

        A repeat, also after an interruption that left nothing of the tenant's own item, changes nothing.

        Raises:
            TenantChangeRefused: it is active, or a worker holds one of its calls.
        """
        known = self.tenants.get(tenant)
        if known is None:
            if not self.access.is_suspended(tenant):
                raise TenantMissing(f"there is no tenant {tenant!r}: omni tenant list shows them")
            return
        if known.state == "active":
            raise TenantChangeRefused(f"tenant {tenant!r} is active; suspend it first: omni tenant suspend {tenant}")
        held = self.jobs.held(tenant, self.now())
        if held:
            raise TenantChangeRefused(f"{held} calls of tenant {tenant!r} are held by workers; try again in 15 minutes")
        self.access.suspend_tenant(tenant)
        if known.state == "suspended":
            self.tenants.move(tenant, "deleting", from_states=("suspended",), by=by, why=why, now=self.now())
            log(Event.TENANT_CHANGED, tenant=tenant, state="deleting")

    def found(self, tenant: str) -> Found:
        """Return what every place holds of a tenant."""
        return self.eraser(tenant).find(_ids(tenant))

    def delete(self, tenant: str, *, by: str, why: str) -> TenantReceipt:
        """Delete all of a tenant that ``begin_deletion`` takes, look again, and keep a receipt; its ``left`` should be empty."""
        self.begin_deletion(tenant, by=by, why=why)
        began = self.now()
        clients = self.access.revoke_clients_of(tenant)
        # Until every process refuses the clients, and whoever has admitted a call before has claimed it.
        self.sleep(SPREAD_S)
        if held := self.jobs.held(tenant, self.now()):
            raise TenantChangeRefused(f"{held} calls of tenant {tenant!r} are held by workers; try again in 15 minutes")
        eraser, ids, deleted = self.eraser(tenant), _ids(tenant), dict[str, int]()
        for _ in range(_MOST_SWEEPS):
            found = eraser.find(ids)
            if not any(found.values()):
                break
            # Places that teach ids come last, and the tenant itself at the very end: an interrupted run finds the rest by them.
            for place in sorted(found, key=lambda one: (one.name == self.config_place, len(one.place.learns))):
                place.delete(found[place])
                if found[place]:
                    deleted[place.name] = deleted.get(place.name, 0) + len(found[place])
        eraser.reclaim()
        left = {place.name: len(records) for place, records in eraser.find(ids).items() if records}
        receipt = TenantReceipt(
            tenant=tenant, reason=why, by=by, began_at=began, ended_at=self.now(), searched=len(eraser.places),
            deleted=deleted, left=left, clients=tuple(sorted(clients)),
        )  # fmt: skip
        self.ledger.add(receipt)
        if not left:
            self.access.resume_tenant(tenant)  # the id holds nothing any more
        log(Event.TENANT_CHANGED, tenant=tenant, state="deleted" if not left else "deleting")
        return receipt


def _ids(tenant: str) -> TenantIds:
    ids = TenantIds()
    ids.learn("tenant", tenant)
    return ids


def _to_ms(moment: datetime) -> datetime:
    return moment - timedelta(microseconds=moment.microsecond % 1000)
