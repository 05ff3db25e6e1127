"""A warehouse of scored calls of two tenants over six weeks; their figures are worked out by hand in the tests that use it.

Tenant ``acme``, form ``support``: 10 calls in each of six weeks (Mondays from 5 October 2026), five in group ``loans`` by agent
``a1`` and five in group ``cards`` by agent ``a2``. ``greet`` fails in one of a week's ten, and in the sixth week in all five of
``cards``, too; ``recap`` is met always; ``offer`` applies to no call. Form ``sales`` has one call. One call had no usable answer.
Tenant ``brand``: three calls of form ``support`` in the sixth week, which fail ``greet``.
"""

from contextlib import closing
from datetime import UTC, datetime, timedelta

from builders import FakeCalls, call_result

from service.calls.result import rows_of
from service.warehouse.duck import DuckWarehouse
from service.warehouse.events import CallCriterionEvent, CallEvent, CallOverrideEvent
from service.warehouse.rows import to_table

MONDAY = datetime(2026, 10, 5, 9, tzinfo=UTC)
WEEKS = 6


class ScoredCalls:
    """The rows, and the calls behind them."""

    def __init__(self):
        self.calls, self.rows, self.overrides, self.results = FakeCalls(), [], [], []

    def add(self, tenant, verdicts, *, at, agent=None, group=None, form="support"):
        call_id = self.calls.add(tenant, f"call-{len(self.rows)}", verdicts, date=at)
        result = call_result(self.calls.jobs[tenant, call_id], verdicts)
        source = result.source.model_copy(update={"agent_id": agent, "queue": group})
        changes = {"source": source}
        if result.qa_evaluation is not None:
            passed = "no" not in verdicts.values()
            changes["qa_evaluation"] = result.qa_evaluation.model_copy(update={"form_id": form, "passed": passed})
        result = result.model_copy(update=changes)
        self.rows.append(rows_of(result, "k"))
        self.results.append(result)
        return result

    def say(self, result, criterion, verdict):
        """A person's verdict beside the model's."""
        found = next(item for item in result.qa_evaluation.criteria if item.id == criterion)
        self.overrides.append(
            CallOverrideEvent(
                tenant_id=result.tenant_id, call_id=result.call_id, criterion_id=criterion,
                overridden_at=result.call_date + timedelta(days=1), form_id=result.qa_evaluation.form_id, form_version=1,
                model_verdict=found.verdict, human_verdict=verdict, overridden_by="dana", pair_digest="sha256:1",
            )
        )  # fmt: skip

    def write(self, path):
        """Write the warehouse."""
        with closing(DuckWarehouse(path)) as warehouse:
            warehouse.migrate()
            warehouse.merge(CallEvent, to_table(CallEvent, [call for call, _ in self.rows]))
            criteria = [row for _, rows in self.rows for row in rows]
            warehouse.merge(CallCriterionEvent, to_table(CallCriterionEvent, criteria))
            if self.overrides:
                warehouse.merge(CallOverrideEvent, to_table(CallOverrideEvent, self.overrides))


def planted():
    """Return the calls that the module describes."""
    made = ScoredCalls()
    for week in range(WEEKS):
        for number in range(10):
            group, agent = ("loans", "a1") if number < 5 else ("cards", "a2")
            fails = number == 0 or (week == WEEKS - 1 and group == "cards")
            made.add(
                "acme",
                {"greet": "no" if fails else "yes", "recap": "yes", "offer": "na"},
                at=MONDAY + timedelta(weeks=week, minutes=number),
                agent=agent,
                group=group,
            )
    made.add("acme", {"greet": "yes"}, at=MONDAY, form="sales")
    made.add("acme", {}, at=MONDAY)
    for number in range(3):
        made.add(
            "brand", {"greet": "no"}, at=MONDAY + timedelta(weeks=WEEKS - 1, minutes=number), agent="b1", group="b"
        )
    return made
