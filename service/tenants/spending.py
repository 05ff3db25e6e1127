"""What each tenant's calls have cost in a month, beside the budget in its configuration."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal

from service.calls.tenants.tenant import Tenant
from service.warehouse.port import Warehouse

# A month's budget is near its end from here on.
_NEAR = Decimal("0.8")


@dataclass(frozen=True, slots=True, kw_only=True)
class TenantSpending:
    """One tenant's month: calls that were scored, their models' metered cost in USD, and its budget (None: it has none).

    Of calls that were scored by a model without a price, ``unpriced`` says how many: their cost is not in the sum.
    """

    tenant: str
    calls: int
    cost_usd: Decimal
    unpriced: int
    budget_usd: Decimal | None

    @property
    def is_over(self) -> bool:
        """Whether the month has cost more than the budget."""
        return self.budget_usd is not None and self.cost_usd > self.budget_usd

    def line(self) -> str:
        """Return the figures as a line of text."""
        said = f"{self.tenant}: {self.calls} calls, {self.cost_usd:.4f} USD"
        if self.unpriced:
            said += f", and {self.unpriced} calls without a price"
        if self.budget_usd is None:
            return f"{said}; no budget"
        state = "OVER BUDGET" if self.is_over else "near" if self.cost_usd >= _NEAR * self.budget_usd else "within"
        return f"{said} of {self.budget_usd:.2f}: {state}"


def spending_of(warehouse: Warehouse, tenants: Sequence[Tenant], month: date) -> list[TenantSpending]:
    """Return each tenant's spending of the calendar month (UTC) that ``month`` lies in, by when a call was scored."""
    begins = datetime(month.year, month.month, 1, tzinfo=UTC)
    ends = datetime(month.year + month.month // 12, month.month % 12 + 1, 1, tzinfo=UTC)
    rows = warehouse.query(
        "SELECT tenant_id, COUNT(*) AS calls, SUM(cost_usd) AS cost_usd, COUNT(*) - COUNT(cost_usd) AS unpriced "
        "FROM omni_calls WHERE scored_at >= :begins AND scored_at < :ends GROUP BY tenant_id",
        {"begins": f"{begins:%Y-%m-%d %H:%M:%S}", "ends": f"{ends:%Y-%m-%d %H:%M:%S}"},
    ).to_dict("records")
    of = {str(row["tenant_id"]): row for row in rows}
    return [
        TenantSpending(
            tenant=one.tenant,
            calls=int(of[one.tenant]["calls"]) if one.tenant in of else 0,
            cost_usd=_amount(of[one.tenant]["cost_usd"]) if one.tenant in of else Decimal(0),
            unpriced=int(of[one.tenant]["unpriced"]) if one.tenant in of else 0,
            budget_usd=one.monthly_budget_usd,
        )
        for one in tenants
    ]


def _amount(value: object) -> Decimal:
    amount = Decimal(str(value))
    return amount if amount.is_finite() else Decimal(0)  # no call of the month has a price
