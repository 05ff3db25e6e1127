"""Reads what pairs approved of their own messages, by day, pair and kind of refusal, from the outputs in the warehouse."""

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING

import pandas as pd

if TYPE_CHECKING:
    from service.warehouse.port import Warehouse

DAYS = 35  # a week and the four before it
# Outputs are canonical JSON: an unescaped quotation mark stands in no text of it, so only the field itself can match.
_SENT = """s.summary_text LIKE '%"decision":"send"%'"""
_REFUSED = """s.summary_text LIKE '%"decision":"not_approved"%'"""
JUDGED = f"CASE WHEN s.task = 'upsell' AND ({_SENT} OR {_REFUSED}) THEN 1 ELSE 0 END"
APPROVED = f"CASE WHEN s.task = 'upsell' AND {_SENT} THEN 1 ELSE 0 END"
_DAY = "CAST(s.generation_timestamp AS DATE)"
_WINDOW = "s.task = :task AND s.generation_timestamp >= :since AND s.generation_timestamp < :until"
_BY_DAY = f"""
    SELECT {_DAY} AS day, s.pair, s.pair_digest, COUNT(*) AS answers,
        SUM({JUDGED}) AS judged, SUM({APPROVED}) AS approved,
        SUM(CASE WHEN {_SENT} AND s.helpful_feedback IS NOT NULL THEN 1 ELSE 0 END) AS rated,
        SUM(CASE WHEN {_SENT} AND s.helpful_feedback = 'helpful' THEN 1 ELSE 0 END) AS confirmed,
        SUM(CAST(s.cost_usd AS DOUBLE PRECISION)) AS cost_usd
    FROM omni_summaries s WHERE {_WINDOW} GROUP BY 1, 2, 3 ORDER BY 1, 3"""  # noqa: S608 - constants of this module
_KINDS = f"""
    SELECT {_DAY} AS day, JSON_EXTRACT_PATH_TEXT(s.summary_text, 'approval', 'kinds') AS kinds, COUNT(*) AS n
    FROM omni_summaries s WHERE {_WINDOW} AND {_REFUSED} GROUP BY 1, 2"""  # noqa: S608


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ApprovalDays:
    """The 35 full days before ``today`` (UTC).

    ``days`` has a row for each day and pair with answers: day, pair, pair_digest, answers, judged, approved, rated, confirmed
    (of the approved ones, by people) and cost_usd. ``kinds`` counts refused messages by (day, kind); a message has several.
    """

    task: str
    today: date
    days: pd.DataFrame
    kinds: Mapping[tuple[date, str], int]

    @property
    def by_day(self) -> pd.DataFrame:
        """The counts of all pairs together, by day."""
        numbers = ["answers", "judged", "approved", "rated", "confirmed", "cost_usd"]
        return self.days.groupby("day", as_index=False)[numbers].sum().sort_values("day")


def read_approvals(warehouse: "Warehouse", task: str, now: datetime) -> ApprovalDays:
    """Read the full days before ``now``.

    Raises:
        WarehouseError: there is no warehouse, or it cannot be read.
    """
    until = now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    given = {"task": task, "since": until - timedelta(days=DAYS), "until": until}
    days = warehouse.query(_BY_DAY, given)
    days["day"] = pd.to_datetime(days["day"]).dt.date
    for name in ("answers", "judged", "approved", "rated", "confirmed"):
        days[name] = pd.to_numeric(days[name]).fillna(0).astype("int64")
    days["cost_usd"] = pd.to_numeric(days["cost_usd"]).fillna(0.0).astype("float64")
    kinds = Counter[tuple[date, str]]()
    for row in warehouse.query(_KINDS, given).to_dict("records"):
        for kind in _kinds_in(row["kinds"]):
            kinds[pd.Timestamp(row["day"]).date(), kind] += int(row["n"])
    return ApprovalDays(task=task, today=until.date(), days=days, kinds=kinds)


def _kinds_in(text: object) -> list[str]:
    """Return the kinds of one refusal; answers of versions that named none have "unnamed"."""
    found = json.loads(text) if isinstance(text, str) and text else []
    return [str(kind) for kind in found] or ["unnamed"]
