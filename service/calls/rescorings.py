"""What scoring stored calls again would mean, and a tenant's orders to do so. This process scores nothing: a worker does."""

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from functools import partial
from itertools import islice
from typing import Any

from service.calls.result import CallResult
from service.calls.store.form_store import FormMissing, FormStore
from service.calls.store.objects import TenantResults
from service.calls.store.rescorings import RescoringOrder, RescoringOrders, utc_day
from service.calls.store.states import CallJob, CallJobs
from service.core.tasks.scorecard.form import Form
from service.kit.aws.bounded import StoreThreads
from service.kit.aws.stores import CALLS
from service.kit.records.build import open_rows
from service.kit.settings import Settings
from service.kit.telemetry.log import Event, log

_CENT = Decimal("0.01")
_SAMPLE = 50  # results that are read for an estimate; all of a large tenant's would take minutes


class RescoringRefused(Exception):
    """The order's key stands for another order already."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RescoringRange:
    """A form and the days of its calls: ``version`` None is the active one, a day of None does not bound."""

    form_id: str
    version: int | None = None
    from_day: date | None = None
    to_day: date | None = None

    @property
    def is_empty(self) -> bool:
        """Whether the first day is after the last."""
        return self.from_day is not None and self.to_day is not None and self.from_day > self.to_day

    def holds(self, day: date) -> bool:
        """Return whether a UTC day is among the days."""
        return (self.from_day is None or day >= self.from_day) and (self.to_day is None or day <= self.to_day)


@dataclass(frozen=True, slots=True, kw_only=True)
class RescoringCost:
    """What one call costs: the means of the newest calls' standing scorecards. None: they do not say."""

    usd_per_call: Decimal | None
    seconds_per_call: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class RescoringOutlook:
    """What an order would do."""

    form: Form
    calls: int
    cost: RescoringCost

    @property
    def usd(self) -> Decimal | None:
        """What all calls cost, about."""
        return None if self.cost.usd_per_call is None else self.cost.usd_per_call * self.calls

    @property
    def minutes(self) -> float | None:
        """How long they take one after another, about, when no new call comes between."""
        return None if self.cost.seconds_per_call is None else self.cost.seconds_per_call * self.calls / 60


def left_of(jobs: Iterable[CallJob], form: Form, within: RescoringRange) -> list[CallJob]:
    """Return the calls that another version of the form scored, newest first; opens no result."""
    found = [
        job
        for job in jobs
        if job.state in ("done", "needs_review")
        and job.result_key is not None
        and job.scored is not None
        and job.scored.form_id == form.form_id
        and job.scored.form_version != form.version
        and within.holds(utc_day(job.call_date))
    ]
    return sorted(found, key=place_of, reverse=True)


def place_of(job: CallJob) -> tuple[datetime, str]:
    """Return a call's place in the order of calls."""
    return job.call_date, job.call_id


def cost_of(results: TenantResults, jobs: Iterable[CallJob]) -> RescoringCost:
    """Return what a call costs, by the standing results of the first calls that are still kept."""
    usd: list[Decimal] = []
    seconds: list[float] = []
    for job in islice(jobs, _SAMPLE):
        text = None if job.result_key is None else results.read(job.result_key)
        if text is None:
            continue
        by = CallResult.model_validate_json(text).scored_by
        seconds.append(by.latency_ms / 1000)
        if by.cost_usd is not None:
            usd.append(by.cost_usd)
    return RescoringCost(
        usd_per_call=sum(usd, Decimal(0)) / len(usd) if usd else None,
        seconds_per_call=sum(seconds) / len(seconds) if seconds else None,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class RescoringDesk:
    """Estimates, takes, shows and cancels the orders of a tenant. Every method raises ``StoreError`` when a store is down."""

    forms: FormStore
    jobs: CallJobs
    results: Callable[[str], TenantResults]
    orders: RescoringOrders
    now: Callable[[], datetime]
    threads: StoreThreads

    async def estimate(self, tenant: str, within: RescoringRange) -> RescoringOutlook:
        """Return what an order would do; asks no model.

        Raises:
            FormMissing: the tenant has no such form, no such version of it, or no active one.
        """
        form = await self._form(tenant, within)

        def read() -> RescoringOutlook:
            left = left_of(self.jobs.of(tenant), form, within)
            return RescoringOutlook(form=form, calls=len(left), cost=cost_of(self.results(tenant), left))

        return await self.threads.run(read)

    async def order(
        self, tenant: str, within: RescoringRange, *, most_calls: int, most_usd: Decimal, key: str | None, by: str
    ) -> RescoringOrder:
        """Write an order down, once for each ``key``, or without one for each content; return the one that stands.

        Raises:
            FormMissing: as for ``estimate``.
            RescoringRefused: ``key`` stands for an order of other content.
        """
        outlook = await self.estimate(tenant, within)
        most_usd = most_usd.quantize(_CENT)
        content = (within.form_id, outlook.form.version, within.from_day, within.to_day, most_calls, most_usd)
        now = self.now()
        wanted = RescoringOrder(
            tenant=tenant,
            rescoring_id=_id_of(tenant, *(("content", *content) if key is None else ("key", key))),
            form_id=within.form_id,
            form_version=outlook.form.version,
            from_day=within.from_day,
            to_day=within.to_day,
            most_calls=most_calls,
            most_usd=most_usd,
            ordered_by=by,
            ordered_at=now,
            updated_at=now,
            total=outlook.calls,
            usd_per_call=outlook.cost.usd_per_call,
            dearest_usd=outlook.cost.usd_per_call or Decimal(0),
        )
        stands = await self.threads.run(self.orders.add, wanted)
        was = (stands.form_id, stands.form_version, stands.from_day, stands.to_day, stands.most_calls, stands.most_usd)
        if was != content:
            raise RescoringRefused("this Idempotency-Key was sent with another order: send another key")
        if stands is wanted:
            log(
                Event.RESCORING_ORDERED,
                tenant=tenant,
                rescoring=wanted.rescoring_id,
                form=wanted.form_id,
                form_version=wanted.form_version,
                calls=wanted.total,
                client=by,
            )
        return stands

    async def get(self, tenant: str, rescoring_id: str) -> RescoringOrder:
        """Return an order."""
        return await self.threads.run(self.orders.get, tenant, rescoring_id)

    async def all(self, tenant: str) -> list[RescoringOrder]:
        """Return a tenant's orders, the newest first."""
        return await self.threads.run(self.orders.of, tenant)

    async def cancel(self, tenant: str, rescoring_id: str, *, by: str) -> RescoringOrder:
        """End an open order, and return it; one that has ended stays as it is. A call that is being scored is finished."""

        def cancelled(order: RescoringOrder) -> RescoringOrder:
            if not order.is_open:
                return order
            said = {"state": "cancelled", "why": f"cancelled by {by}", "updated_at": self.now()}
            return order.model_copy(update=said)

        was = await self.get(tenant, rescoring_id)
        order = await self.threads.run(self.orders.change, tenant, rescoring_id, cancelled)
        if was.is_open and not order.is_open:
            log_end(order)
        return order

    async def _form(self, tenant: str, within: RescoringRange) -> Form:
        if within.version is not None:
            return await self.forms.revision(tenant, within.form_id, within.version)
        head = await self.forms.head(tenant, within.form_id)
        if head.active is None:
            raise FormMissing(f"there is no active version of form {within.form_id!r}")
        return head.active


def log_end(order: RescoringOrder) -> None:
    """Log how an order ended."""
    log(
        Event.RESCORING_ENDED,
        tenant=order.tenant,
        rescoring=order.rescoring_id,
        state=order.state,
        reason=order.why,
        done=order.done,
        failed=order.failed,
        left=order.left,
        cost_usd=str(order.used_usd),
    )


def build_rescorings(
    settings: Settings, *, forms: FormStore, dynamodb: Any, s3: Any, now: Callable[[], datetime]
) -> RescoringDesk:
    """Return the desk of the settings' table and buckets; contacts nothing."""
    rows = open_rows(settings, CALLS, dynamodb)
    bucket, kms_key = settings.calls.results_bucket, settings.calls.kms_key
    return RescoringDesk(
        forms=forms,
        jobs=CallJobs(rows),
        results=partial(TenantResults, s3, bucket, kms_key=kms_key),
        orders=RescoringOrders(rows),
        now=now,
        threads=StoreThreads(f"table {rows.name!r}", timeout_s=settings.stores.timeout_s),
    )


def _id_of(*parts: object) -> str:
    said = "\0".join(map(str, parts))
    return f"rescoring-{hashlib.sha256(said.encode()).hexdigest()[:24]}"
