"""Watches over the calls of all tenants: how many stand still, and where people began to disagree with the model."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from service.calls.store.states import CallJobs
from service.kit.telemetry.log import Event, log
from service.rollouts.live_counts import wilson
from service.warehouse.port import Warehouse

# A worker takes up what has stood still for 20 minutes. What stands for twice as long nobody takes up.
STUCK_AFTER = timedelta(minutes=40)
LEAST_NOW, LEAST_BEFORE = 10, 20
_Z95 = 1.959963984540054
_NOW, _BEFORE = timedelta(days=7), timedelta(days=35)
# Each person's newest verdict on a criterion of a call, on the day it was given, where the model had one, too.
_VERDICTS = """
SELECT tenant_id, form_id, criterion_id,
  SUM(CASE WHEN overridden_at >= CAST(:recent AS timestamptz) THEN confirms ELSE 0 END) AS agreed,
  SUM(CASE WHEN overridden_at >= CAST(:recent AS timestamptz) THEN 1 ELSE 0 END) AS reviewed,
  SUM(CASE WHEN overridden_at < CAST(:recent AS timestamptz) THEN confirms ELSE 0 END) AS agreed_before,
  SUM(CASE WHEN overridden_at < CAST(:recent AS timestamptz) THEN 1 ELSE 0 END) AS reviewed_before
FROM v_criterion_words
WHERE replaced_at IS NULL AND model_verdict IS NOT NULL
  AND overridden_at >= CAST(:first AS timestamptz) AND overridden_at < CAST(:until AS timestamptz)
GROUP BY tenant_id, form_id, criterion_id
ORDER BY tenant_id, form_id, criterion_id"""


@dataclass(frozen=True, slots=True, kw_only=True)
class AgreementFall:
    """A criterion on which people confirmed the model less in the last seven days than in the four weeks before."""

    tenant: str
    form_id: str
    criterion: str
    agreed: int
    reviewed: int
    agreed_before: int
    reviewed_before: int

    def line(self) -> str:
        """Return the fall as a line of text."""
        return (
            f"{self.tenant}: people confirmed {self.agreed} of {self.reviewed} verdicts on criterion {self.criterion} of form "
            f"{self.form_id} in seven days, before {self.agreed_before} of {self.reviewed_before}"
        )


def count_stuck(jobs: CallJobs, now: datetime) -> dict[str, int]:
    """Return each tenant's number of calls that stand still, those that wait for a transcription left out; logs the total."""
    found: dict[str, int] = {}
    for job in jobs.open_everywhere(now - STUCK_AFTER):
        if job.awaiting is None:
            found[job.tenant] = found.get(job.tenant, 0) + 1
    log(Event.CALLS_CHECKED, stuck=sum(found.values()))
    return found


def agreement_falls(warehouse: Warehouse, now: datetime) -> tuple[AgreementFall, ...]:
    """Return the falls beyond chance: the 95% intervals (Wilson) of the two shares do not overlap; logs how many.

    Fewer than ten verdicts in the week, or twenty before, say nothing.
    """
    given = {
        "first": (now - _BEFORE).isoformat(),
        "recent": (now - _NOW).isoformat(),
        "until": now.isoformat(),
    }
    rows = (
        AgreementFall(
            tenant=str(row["tenant_id"]),
            form_id=str(row["form_id"]),
            criterion=str(row["criterion_id"]),
            agreed=int(row["agreed"]),
            reviewed=int(row["reviewed"]),
            agreed_before=int(row["agreed_before"]),
            reviewed_before=int(row["reviewed_before"]),
        )
        for row in warehouse.query(_VERDICTS, given).to_dict("records")
    )
    falls = tuple(row for row in rows if _fell(row))
    log(Event.AGREEMENT_CHECKED, fallen=len(falls))
    return falls


def _fell(found: AgreementFall) -> bool:
    if found.reviewed < LEAST_NOW or found.reviewed_before < LEAST_BEFORE:
        return False
    _, high = wilson(found.agreed, found.reviewed, _Z95)
    low, _ = wilson(found.agreed_before, found.reviewed_before, _Z95)
    return high < low
