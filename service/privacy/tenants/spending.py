"""What each tenant's calls have cost in a month, models and transcription, beside the budget in its configuration."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal

from service.calls.hear.transcriber import BILLED_TRANSCRIBER
from service.calls.tenants.store import ConfiguredTenant
from service.warehouse.port import Warehouse

# A month's budget is near its end from here on.
_NEAR = Decimal("0.8")


@dataclass(frozen=True, slots=True, kw_only=True)
class TenantSpending:
    """One tenant's month: calls that were scored, their models' metered cost in USD, and its budget (None: it has none).

    Of calls that were scored by a model without a price, ``unpriced`` says how many: their cost is not in the sum. Nor is that of
    the ``minutes`` that Amazon Transcribe heard where ``minute_usd``, its price, is None.
    """

    tenant: str
    calls: int
    models_usd: Decimal
    unpriced: int
    minutes: Decimal
    minute_usd: Decimal | None
    budget_usd: Decimal | None

    @property
    def cost_usd(self) -> Decimal:
        """The cost that is known."""
        return self.models_usd + self.minutes * (self.minute_usd or Decimal(0))

    @property
    def is_over(self) -> bool:
        """Whether the month has cost more than the budget."""
        return self.budget_usd is not None and self.cost_usd > self.budget_usd

    def line(self) -> str:
        """Return the figures as a line of text."""
        said = f"{self.tenant}: {self.calls} calls, models {self.models_usd:.4f} USD"
        if self.unpriced:
            said += f", and {self.unpriced} calls without a price"
        if self.minutes and self.minute_usd is not None:
            said += f", transcription {self.minutes * self.minute_usd:.4f} USD ({self.minutes:.1f} minutes)"
        elif self.minutes:
            said += (
                f", and {self.minutes:.1f} minutes of transcription not counted (set OMNI_TRANSCRIBE_USD_PER_MINUTE)"
            )
        if self.budget_usd is None:
            return f"{said}; no budget"
        state = "OVER BUDGET" if self.is_over else "near" if self.cost_usd >= _NEAR * self.budget_usd else "within"
        return f"{said}; {self.cost_usd:.4f} of {self.budget_usd:.2f} USD: {state}"


def spending_of(
    warehouse: Warehouse, tenants: Sequence[ConfiguredTenant], month: date, *, minute_usd: Decimal | None
) -> list[TenantSpending]:
    """Return each tenant's spending of the calendar month (UTC) that ``month`` lies in.

    Models count in the month in which a call was scored last, transcription in that of the call, to its last turn's beginning.
    ``minute_usd`` is what Amazon Transcribe bills; all other transcribers bill nothing.
    """
    begins = datetime(month.year, month.month, 1, tzinfo=UTC)
    ends = datetime(month.year + month.month // 12, month.month % 12 + 1, 1, tzinfo=UTC)
    within = {"begins": f"{begins:%Y-%m-%d %H:%M:%S}", "ends": f"{ends:%Y-%m-%d %H:%M:%S}"}
    scored = _by_tenant(
        warehouse,
        "SELECT tenant_id, COUNT(*) AS calls, SUM(cost_usd) AS cost_usd, COUNT(*) - COUNT(cost_usd) AS unpriced "
        "FROM omni_calls WHERE scored_at >= :begins AND scored_at < :ends GROUP BY tenant_id",
        within,
    )
    heard = _by_tenant(
        warehouse,
        # At least 15 seconds of each recording are billed.
        "SELECT tenant_id, SUM(CASE WHEN duration_s < 15 THEN 15 ELSE duration_s END) AS seconds "
        "FROM omni_calls WHERE transcriber = :by AND call_date >= :begins AND call_date < :ends GROUP BY tenant_id",
        within | {"by": BILLED_TRANSCRIBER},
    )
    return [
        TenantSpending(
            tenant=one.tenant,
            calls=int(_amount(scored, one.tenant, "calls")),
            models_usd=_amount(scored, one.tenant, "cost_usd"),
            unpriced=int(_amount(scored, one.tenant, "unpriced")),
            minutes=_amount(heard, one.tenant, "seconds") / 60,
            minute_usd=minute_usd,
            budget_usd=one.monthly_budget_usd,
        )
        for one in tenants
    ]


def _by_tenant(warehouse: Warehouse, query: str, values: Mapping[str, str]) -> dict[str, dict[str, object]]:
    rows = warehouse.query(query, values).to_dict("records")
    return {str(row["tenant_id"]): {str(name): value for name, value in row.items()} for row in rows}


def _amount(rows: Mapping[str, Mapping[str, object]], tenant: str, name: str) -> Decimal:
    amount = Decimal(str(rows.get(tenant, {}).get(name, 0)))
    return amount if amount.is_finite() else Decimal(0)  # no call of the month has a price
